"""What `fit`, `evaluate` and `predict` take: the package's own data sets, and anything that Keras takes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.data.normalisation import complaint_of_pixels
from keras_gssl.data.pipeline import EvaluationSet, TrainingSet
from keras_gssl.devices import check_shares

LOOKED_AT = 64  # images of an array whose values are looked at


class FitsAnyData:
    """The part of a `SupervisedModel` that stands between its data and Keras.

    It gives `data.train()` and `data.test()` to Keras as datasets, starts training batches at the epoch where training
    goes on, and refuses what is plainly a mistake (images on another scale, labels that are no numbers) before an epoch
    is spent on it.
    """

    def fit(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`.

        Args:
            x: What `data.train(...)` returns, which knows its length and its epochs; or images, a `tf.data.Dataset`, a
                `PyDataset`, ... as Keras takes them, to which the model itself applies its pretext tasks.
            y: Class labels with arrays: integers or one-hot rows.
            args, kwargs: As for Keras.
        """
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._validation(kwargs["validation_data"])
        if isinstance(x, TrainingSet):
            x = self._batches(x, kwargs)
        else:
            self._augment_with(None)
            check_labels(y)
            x = self._watched(x, kwargs)
        try:
            return super().fit(x, y, *args, **kwargs)  # type: ignore[misc]
        finally:
            self._initial_epoch = None  # BackupAndRestore sets it, and Keras would begin the next fit there as well

    def evaluate(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`; `x` may be what `data.test()` or `data.train(...)` returns."""
        check_labels(y)
        return super().evaluate(self._looked_at(self._dataset(x)), y, *args, **kwargs)  # type: ignore[misc]

    def predict(self: Any, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """As `keras.Model.predict`: cosines or logits, by `heads`; `classifier().predict` gives logits."""
        return super().predict(self._looked_at(self._dataset(x)), *args, **kwargs)  # type: ignore[misc]

    def _batches(self: Any, training_set: TrainingSet, options: dict[str, Any]) -> tf.data.Dataset:
        """Training batches as an endless dataset that starts where training goes on."""
        steps = options.setdefault("steps_per_epoch", training_set.steps_per_epoch)
        if steps % self.steps_per_execution:
            raise ValueError(
                f"compile(steps_per_execution={self.steps_per_execution}) must divide the {steps} steps of an "
                f"epoch, so that an execution ends where the epoch ends; use 1 or {steps}."
            )
        check_shares(training_set.batch_size, training_set.num_images, self._replicas)
        if self.preprocessing is not None:
            training_set = training_set.normalised_as(self.preprocessing)
        on_device = self._augments_on_device()
        self._augment_with(training_set.augment if on_device else None)
        options.setdefault("shuffle", False)  # the set shuffles itself; Keras would warn that it cannot
        given = options.get("initial_epoch", 0)

        def start() -> int:
            # Asked when the first batch is, so after callbacks that bring an interrupted training back.
            return max(given, self.steps_done() // training_set.steps_per_epoch)

        return training_set.from_epoch(start, not on_device, options.pop("class_weight", None))

    def steps_done(self: Any) -> int:
        """Training steps that the optimizer has taken."""
        return int(keras.ops.convert_to_numpy(self.optimizer.iterations))

    def _augments_on_device(self: Any) -> bool:
        """Whether the training step augments: where a GPU would else wait for the CPU, and for floats to be copied.

        Not with several devices: each draws for its share of a batch, and the shares' draws would be the same.
        """
        return bool(tf.config.list_logical_devices("GPU")) and self._replicas == 1

    def _augment_with(self: Any, augment: Callable[[Any, Any], tuple[Any, Any]] | None) -> None:
        if augment != self._augment:
            self._augment = augment
            self.train_function = None  # it is traced with the augmentation in it

    def _validation(self: Any, data: Any) -> Any:
        if not isinstance(data, (tuple, list)):
            return self._looked_at(self._dataset(data))
        check_labels(data[1])
        return (self._looked_at(data[0]), *data[1:])

    def _dataset(self: Any, data: Any) -> Any:
        if isinstance(data, EvaluationSet):
            return data.dataset(None if self.preprocessing is None else self.preprocessing.scale)
        if isinstance(data, TrainingSet):
            return data if self.preprocessing is None else data.normalised_as(self.preprocessing)
        return data

    def _complaint(self: Any, smallest: float, largest: float) -> str | None:
        if self.preprocessing is not None:
            return self.preprocessing.complaint(smallest, largest)
        # A backbone that scales its input by itself may want anything.
        scaling = (keras.layers.Rescaling, keras.layers.Normalization)
        if any(isinstance(layer, scaling) for layer in self.backbone._flatten_layers()):
            return None
        return complaint_of_pixels(smallest, largest)

    def _looked_at(self: Any, data: Any) -> Any:
        """The data as Keras takes it, after a look at the images' values where that costs nothing."""
        if isinstance(data, TrainingSet):
            return data.one_epoch()
        if isinstance(data, (np.ndarray, tf.Tensor)) and len(data):
            images = np.asarray(data[:LOOKED_AT])
            self._check_values(images)
        return data

    def _check_values(self: Any, images: Any) -> None:
        complaint = self._complaint(float(np.min(images)), float(np.max(images)))
        if complaint is not None:
            raise ValueError(complaint)

    def _watched(self: Any, data: Any, options: dict[str, Any]) -> Any:
        """Training data whose first images are looked at, whatever kind of data it is."""
        if isinstance(data, tf.data.Dataset):
            options.setdefault("shuffle", False)  # Keras would warn that it cannot shuffle a dataset
            return self._watched_dataset(data, options)
        if isinstance(data, keras.utils.PyDataset):
            self._check_values(data[0][0])
        elif hasattr(data, "__next__"):
            options.setdefault("shuffle", False)
            first = next(data)
            self._check_values(first[0])
            return (batch for batch in itertools.chain([first], data))
        return self._looked_at(data)

    def _watched_dataset(self: Any, dataset: tf.data.Dataset, options: dict[str, Any]) -> tf.data.Dataset:
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) < 2:
            raise ValueError(
                f"fit needs a dataset of (images, labels), perhaps with weights; received batches of {spec}."
            )
        labels = spec[1].values() if isinstance(spec[1], Mapping) else [spec[1]]
        if any(getattr(label, "dtype", None) == tf.string for label in labels):
            raise ValueError(NO_NUMBERS.format("strings"))
        if isinstance(spec[1], Mapping):
            return dataset  # from with_pretext or the like: normalised there
        watch = _Watch(self._check_values)
        options["callbacks"] = [*_as_list(options.get("callbacks")), watch]
        return watch.dataset(dataset)


class _Watch(keras.callbacks.Callback):
    """Looks at the images of a dataset's first batch while it is trained on.

    A look beforehand would draw a batch too many from a dataset that shuffles; an error within the dataset would reach
    the user from deep inside TensorFlow.
    """

    def __init__(self, check: Callable[[np.ndarray], None]):
        super().__init__()
        self._check = check
        self._values: np.ndarray | None = None

    def dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        def look(images: np.ndarray) -> np.bool_:
            self._values = np.array([np.min(images), np.max(images)])
            return np.bool_(True)

        def pass_on(number: tf.Tensor, batch: tuple[Any, ...]) -> tuple[Any, ...]:
            looked = tf.cond(
                number == 0, lambda: tf.numpy_function(look, [batch[0]], tf.bool), lambda: tf.constant(True)
            )
            with tf.control_dependencies([looked]):
                return (tf.identity(batch[0]), *batch[1:])

        return dataset.enumerate().map(pass_on, num_parallel_calls=1)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._values is not None:
            self._check(self._values)
            self._values = None


NO_NUMBERS = (
    "Class labels must be numbers from 0, or one-hot rows; received {}. Number them first, for example with "
    "numpy.unique(labels, return_inverse=True), or let keras_gssl.data.from_arrays do it."
)


def check_labels(labels: Any) -> None:
    """Raise `ValueError` for labels that are names."""
    if labels is not None and not isinstance(labels, Mapping):
        kind = np.asarray(labels[:1]).dtype.kind if hasattr(labels, "__getitem__") else ""
        if kind in "USO" and kind:
            raise ValueError(NO_NUMBERS.format(repr(str(labels[0]))))


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
