"""From images to batches for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.bounds import COUNT
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.data.pictures.files import ImageFiles, image_reader
from keras_gssl.data.pipeline import PARALLEL_CALLS, PREFETCHED_BATCHES, without_autotuning
from keras_gssl.data.tracing import as_written


class EvaluationSet(tf.data.Dataset):
    """Normalised images with their class labels, in order, each once: for `evaluate`, `predict` and `validation_data`.

    A `tf.data.Dataset` that can also give the pixels as they are.

    Args:
        images: uint8, shape `(count, height, width, channels)`, or `ImageFiles`.
        labels: Integers, shape `(count,)`.
        mean, std: Per channel, on the scale 0-1.
        batch_size: Images per batch.
    """

    def __init__(
        self,
        images: np.ndarray | ImageFiles,
        labels: np.ndarray,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int = 500,
    ):
        COUNT.check("batch_size", batch_size)
        self._images = images
        self._labels = labels
        self._images_per_batch = batch_size
        self._normalised = self._converted(PixelNormalization(mean, std))
        super().__init__(self._normalised._variant_tensor)

    def _inputs(self) -> list[tf.data.Dataset]:
        return [self._normalised]

    @property
    def element_spec(self) -> Any:
        return self._normalised.element_spec

    def pixels(self, scale: float = 255.0) -> tf.data.Dataset:
        """The images as they are, float32, white being `scale`."""
        return self._converted(PixelNormalization(0, 1 / scale))

    def _converted(self, convert: PixelNormalization) -> tf.data.Dataset:
        read = image_reader(self._images)
        with tf.device("CPU:0"):
            classes = tf.constant(self._labels, tf.int32)

        def one_batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = tf.ensure_shape(read(indices), (None, *self._images.shape[1:]))
            return convert(batch), tf.gather(classes, indices)

        dataset = tf.data.Dataset.range(len(self._labels)).batch(self._images_per_batch)
        dataset = dataset.map(as_written(one_batch), num_parallel_calls=PARALLEL_CALLS, deterministic=True)
        return without_autotuning(dataset.prefetch(PREFETCHED_BATCHES))
