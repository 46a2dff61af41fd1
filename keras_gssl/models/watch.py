"""A look at the images and labels of a dataset while it is trained on."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.data.tracing import as_written
from keras_gssl.models.label_checks import outside


class Watch(keras.callbacks.Callback):
    """Looks at the images of the first batch and at all labels, in the dataset itself.

    A look beforehand would draw a batch too many from a dataset that shuffles; an error within the dataset would reach
    the user from deep inside TensorFlow.

    Args:
        check: Raises for the smallest and largest value of images, given with the dataset's labels.
        labels: What the dataset says of its labels.
        num_classes: Of the model.
    """

    def __init__(self, check: Callable[[np.ndarray, Any], None], labels: Any, num_classes: int):
        super().__init__()
        self._check, self._labels, self._num_classes = check, labels, num_classes
        self._values: np.ndarray | None = None
        self._outside: float | None = None

    def dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        # TensorFlow keeps these two as long as the process lives: they are not to keep the model, which this knows.
        this = weakref.ref(self)

        def look(images: np.ndarray) -> np.bool_:
            if (watch := this()) is not None:
                watch._values = np.array([np.min(images), np.max(images)], images.dtype)
            return np.bool_(True)

        def note(labels: np.ndarray) -> np.bool_:
            if (watch := this()) is not None and watch._outside is None:
                watch._outside = float(labels[(labels < 0) | (labels >= watch._num_classes)][0])
            return np.bool_(True)

        def pass_on(number: tf.Tensor, batch: tuple[Any, ...]) -> tuple[Any, ...]:
            true = tf.constant(True)
            looked = [tf.cond(number == 0, lambda: tf.numpy_function(look, [batch[0]], tf.bool), lambda: true)]
            labels = batch[1]
            if not isinstance(labels, Mapping) and labels.dtype != tf.bool and self._are_indices(labels):
                wrong = tf.reduce_any((labels < 0) | (labels >= tf.cast(self._num_classes, labels.dtype)))
                looked.append(tf.cond(wrong, lambda: tf.numpy_function(note, [labels], tf.bool), lambda: true))
            with tf.control_dependencies(looked):
                return (tf.identity(batch[0]), *batch[1:])

        return dataset.enumerate().map(as_written(pass_on), num_parallel_calls=1)

    def _are_indices(self, labels: tf.Tensor) -> bool:
        return labels.shape.rank == 1 or (labels.shape.rank == 2 and labels.shape[1] == 1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.complain()

    def complain(self) -> None:
        """Raise `ValueError` for what was seen and cannot be meant."""
        if self._outside is not None:
            raise ValueError(outside(self._outside, self._num_classes))
        if self._values is not None:
            values, self._values = self._values, None
            self._check(values, self._labels)
