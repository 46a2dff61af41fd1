"""A square of every image covered, as a pure function of a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import COUNT, Bounds
from keras_gssl.data.augmentations.base import Draw, ImageAugmentation

PIXEL = Bounds(least=0, most=255, whole=True)


@keras.saving.register_keras_serializable(package="keras_gssl")
class Cutout(ImageAugmentation):
    """Cover a square around a pixel drawn uniformly; what of it lies beyond the border is lost.

    Args:
        size: Side of the square in pixels, at least 1.
        fill: Level of the square, 0-255.

    Example:

    >>> int(tf.reduce_sum(1 - gssl.data.Cutout(size=1)(tf.ones((5, 8, 8, 1), tf.uint8), [1, 2])))
    5

    Reference:
        "Improved Regularization of Convolutional Neural Networks with Cutout" (arXiv 1708.04552), section 3.2.
    """

    def __init__(self, size: int = 16, fill: int = 0):
        self.size = int(COUNT.check("Cutout size", size))
        self.fill = int(PIXEL.check("Cutout fill", fill))

    def augment(self, images: tf.Tensor, draw: Draw) -> tf.Tensor:
        height, width, channels = images.shape[1:]

        def covered(positions: np.ndarray, centres: tf.Tensor) -> tf.Tensor:
            distances = positions.astype("int32") - centres + self.size // 2
            return tf.logical_and(distances >= 0, distances < self.size)

        rows = covered(np.arange(height), draw((1,), height))
        columns = covered(np.repeat(np.arange(width), channels), draw((1,), width))
        square = tf.logical_and(rows[:, :, tf.newaxis], columns[:, tf.newaxis, :])
        # Equal shapes: tf.where takes several times as long where it has to stretch one.
        fill = tf.fill(tf.shape(square), tf.constant(self.fill, tf.uint8))
        return tf.reshape(tf.where(square, fill, tf.reshape(images, tf.shape(square))), tf.shape(images))

    def get_config(self) -> dict[str, Any]:
        return {"size": self.size, "fill": self.fill}
