"""A part of every image enlarged to the image's size, as a pure function of a seed.

All of it is done in whole numbers, so that every device gives the same levels, and these are Pillow's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import ABOVE_ZERO, FACTOR, Bounds
from keras_gssl.data.augmentations.base import Draw, ImageAugmentation

_WEIGHT_BITS = 22  # of the two pixels that a level lies between, as in Pillow
_LEVELS = 64  # that an area, and a ratio of the sides, is drawn from
_PLACES = 2**24  # likewise the place of the part


@keras.saving.register_keras_serializable(package="keras_gssl")
class RandomResizedCrop(ImageAugmentation):
    """Of every image a part of random area, shape and place, enlarged to the size of the image.

    For photographs, whose objects are seen from near and far, and for long trainings: after 25 epochs at 32x32 it had
    cost more than it gave. A side that would be longer than the image's is as long as that.

    Args:
        area: Smallest and largest area of the part, as shares of the image's, above 0 and at most 1; drawn uniformly.
        ratio: Smallest and largest width over height, above 0; their logarithm is drawn uniformly.

    Raises:
        ValueError: A bound is none of two such numbers, the smaller one first.

    Example:

    >>> gssl.RandomResizedCrop(area=(0.5, 1.0))(tf.zeros((4, 32, 32, 3), tf.uint8), [1, 2]).shape
    TensorShape([4, 32, 32, 3])

    Reference:
        "Going Deeper with Convolutions" (arXiv 1409.4842), section 6, where the area is from 0.08 upwards.
    """

    def __init__(self, area: Sequence[float] = (0.25, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3)):
        self.area = _smallest_and_largest("area", area, FACTOR)
        self.ratio = _smallest_and_largest("ratio", ratio, ABOVE_ZERO)

    def augment(self, images: tf.Tensor, draw: Draw) -> tf.Tensor:
        height, width = images.shape[1:3]
        sides = tf.gather(tf.constant(self._sides(height, width)), draw((), _LEVELS**2))
        free = tf.constant((height, width), tf.int64) - sides + 1
        return enlarge(images, tf.cast(draw((2,), _PLACES), tf.int64) * free // _PLACES, sides)

    def _sides(self, height: int, width: int) -> np.ndarray:
        """Heights and widths of the parts that are drawn from, in pixels, int64, shape `(4096, 2)`."""
        middles = (np.arange(_LEVELS) + 0.5) / _LEVELS
        areas = height * width * np.interp(middles, (0, 1), self.area)[:, np.newaxis]
        ratios = np.exp(np.interp(middles, (0, 1), np.log(self.ratio)))
        sides = np.stack([np.sqrt(areas / ratios), np.sqrt(areas * ratios)], axis=-1).reshape(-1, 2)
        return np.clip(np.round(sides), 1, (height, width)).astype("int64")

    def get_config(self) -> dict[str, Any]:
        return {"area": self.area, "ratio": self.ratio}


def enlarge(images: tf.Tensor, starts: Any, sides: Any) -> tf.Tensor:
    """A part of every image, enlarged to the image's size; bilinear, equal to Pillow's `crop` and `resize`.

    Args:
        images: uint8, shape `(batch, height, width, channels)`.
        starts: First row and column of each part, int64, shape `(batch, 2)`.
        sides: Height and width of each, int64, shape `(batch, 2)`.

    Returns:
        uint8, the shape of `images`.

    Example:

    >>> from keras_gssl.data.augmentations.resized_crop import enlarge
    >>> image = tf.reshape(tf.constant([0, 10, 20, 30], tf.uint8), (1, 1, 4, 1))
    >>> enlarge(image, np.array([[0, 1]]), np.array([[1, 2]]))[0, 0, :, 0].numpy()
    array([10, 13, 18, 20], dtype=uint8)
    """
    starts, sides = tf.convert_to_tensor(starts, tf.int64), tf.convert_to_tensor(sides, tf.int64)
    # Columns before rows, rounded between the two, as Pillow does it; as rows, which are gathered whole.
    turned = _rows_enlarged(tf.transpose(images, (0, 2, 1, 3)), starts[:, 1], sides[:, 1])
    return _rows_enlarged(tf.transpose(turned, (0, 2, 1, 3)), starts[:, 0], sides[:, 0])


def _rows_enlarged(images: tf.Tensor, starts: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Some rows of every image, enlarged to its height."""
    first, second, weights = _neighbours(starts, sides, images.shape[1])
    one, other = (tf.cast(tf.gather(images, each, axis=1, batch_dims=1), tf.int32) for each in (first, second))
    levels = one * 2**_WEIGHT_BITS + (other - one) * weights[:, :, tf.newaxis, tf.newaxis]
    return tf.cast(tf.bitwise.right_shift(levels + 2 ** (_WEIGHT_BITS - 1), _WEIGHT_BITS), tf.uint8)


def _neighbours(starts: tf.Tensor, sides: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Of each row of the result the two it lies between, and the weight of the second, int32, `(batch, size)`."""
    sides, starts = sides[:, tf.newaxis], starts[:, tf.newaxis]
    # The centre of row i is at (i + 1/2) side / size - 1/2 of the part; in units of 1 / (2 size) that is whole.
    centres = (2 * tf.range(size, dtype=tf.int64) + 1) * sides - size
    below = centres // (2 * size)
    weights = ((centres - 2 * size * below) * 2**_WEIGHT_BITS + size) // (2 * size)
    first, second = (starts + tf.clip_by_value(below + step, 0, sides - 1) for step in (0, 1))
    return tf.cast(first, tf.int32), tf.cast(second, tf.int32), tf.cast(weights, tf.int32)


def _smallest_and_largest(name: str, given: Any, bounds: Bounds) -> tuple[float, float]:
    name = f"RandomResizedCrop {name}"
    if not isinstance(given, Sequence) or len(given) != 2:
        raise ValueError(f"{name} must be two numbers, the smallest and the largest; received {given!r}.")
    low, high = (float(bounds.check(name, each)) for each in given)
    if low > high:
        raise ValueError(f"{name} must be the smallest and the largest, received {low:g} and {high:g}.")
    return low, high
