"""Affine transforms of whole image batches: one gather of pixels, each image with a matrix of its own.

A matrix is six numbers (a, b, c, d, e, f), as in Pillow: the pixel at (x, y) of the result is the one at
(a x + b y + c, d x + e y + f) of the image, where whole numbers are the borders between pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_gssl.backend import tf

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
_FRACTION_BITS = 16


def shear_x(amounts: Any) -> np.ndarray:
    """Matrices that shift row y by `amounts * y` pixels to the left, shape `(..., 6)` for amounts of shape `(...)`."""
    return _matrices(amounts, {1: amounts})


def shear_y(amounts: Any) -> np.ndarray:
    """Matrices that shift column x by `amounts * x` pixels upwards, shape `(..., 6)` for amounts of shape `(...)`."""
    return _matrices(amounts, {3: amounts})


def translate_x(pixels: Any) -> np.ndarray:
    """Matrices that shift images to the left, shape `(..., 6)` for pixels of shape `(...)`."""
    return _matrices(pixels, {2: pixels})


def translate_y(pixels: Any) -> np.ndarray:
    """Matrices that shift images upwards, shape `(..., 6)` for pixels of shape `(...)`."""
    return _matrices(pixels, {5: pixels})


def rotate(degrees: Any, height: int, width: int) -> np.ndarray:
    """Matrices that turn images counter-clockwise about their centre, shape `(..., 6)` for degrees of shape `(...)`."""
    angles = np.radians(np.asarray(degrees, "float64"))
    # As in Pillow: without it right angles would be off by 1e-16, which moves pixels by one.
    cosines, sines = np.round(np.cos(angles), 15), np.round(np.sin(angles), 15)
    x, y = width / 2, height / 2
    starts = {2: x - cosines * x + sines * y, 5: y - sines * x - cosines * y}
    return _matrices(degrees, {0: cosines, 1: -sines, 3: sines, 4: cosines, **starts})


#: Matrices of the operations of AutoAugment by name, of strengths from -1 to 1 and the height and width of images.
OPERATIONS: dict[str, Callable[[Any, int, int], np.ndarray]] = {
    "shear_x": lambda strengths, height, width: shear_x(0.3 * strengths),
    "shear_y": lambda strengths, height, width: shear_y(0.3 * strengths),
    # On the paper's images of 331 pixels up to 150.
    "translate_x": lambda strengths, height, width: translate_x(150 / 331 * width * strengths),
    "translate_y": lambda strengths, height, width: translate_y(150 / 331 * height * strengths),
    "rotate": lambda strengths, height, width: rotate(30 * strengths, height, width),
}


def affine(images: tf.Tensor, matrices: Any, fill: int = 128) -> tf.Tensor:
    """Transform every image by its own matrix; nearest neighbour, equal to Pillow's `Image.transform`.

    Args:
        images: uint8, shape `(batch, height, width, channels)`; sides of at most 8,192 pixels.
        matrices: float64, shape `(batch, 6)`, from result to image; see the functions above.
        fill: Level of what comes in from outside of the image.

    Returns:
        uint8, the shape of `images`.

    Example:

    >>> from keras_gssl.data.augmentations.geometry import affine, translate_x
    >>> image = tf.reshape(tf.constant([1, 2, 3, 4, 5, 6], tf.uint8), (1, 2, 3, 1))
    >>> affine(image, translate_x([1.0]))[0, :, :, 0].numpy()
    array([[  2,   3, 128],
           [  5,   6, 128]], dtype=uint8)

    Reference:
        The geometric operations of "AutoAugment: Learning Augmentation Policies from Data" (arXiv 1805.09501), table 6.
    """
    batch, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    a, b, c, d, e, f = tf.unstack(tf.cast(matrices, tf.float64), axis=1)
    # The centre of the first pixel is at (1/2, 1/2).
    columns = _along(a, b, c + 0.5 * a + 0.5 * b, height, width)
    rows = _along(d, e, f + 0.5 * d + 0.5 * e, height, width)
    # A frame one pixel wide stands for all that lies outside, at any distance.
    columns, rows = tf.clip_by_value(columns, -1, width), tf.clip_by_value(rows, -1, height)
    framed = tf.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
    first = tf.range(batch)[:, tf.newaxis, tf.newaxis] * ((height + 2) * (width + 2))
    positions = (rows + 1) * (width + 2) + (columns + 1) + first
    # Faster than tf.gather, which does more for every pixel.
    return tf.gather_nd(tf.reshape(framed, (-1, channels)), positions[..., tf.newaxis])


def _along(per_column: tf.Tensor, per_row: tf.Tensor, start: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """One coordinate of where each pixel comes from, int32, shape `(batch, height, width)`.

    In whole numbers, as Pillow does it: floats at the border of two pixels would fall now to one, now to the other.
    """

    def fixed(values: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.floor(values * 2**_FRACTION_BITS + 0.5), tf.int32)[:, tf.newaxis]

    in_row = fixed(per_column) * tf.range(width) + fixed(start)
    in_column = fixed(per_row) * tf.range(height)
    return tf.bitwise.right_shift(in_column[:, :, tf.newaxis] + in_row[:, tf.newaxis, :], _FRACTION_BITS)


def _matrices(like: Any, entries: dict[int, Any]) -> np.ndarray:
    matrices = np.tile(np.array(IDENTITY), (*np.shape(like), 1))
    for index, values in entries.items():
        matrices[..., index] = values
    return matrices
