"""Cut a batch of square images into quadrants, and put one quadrant back.

Positions are numbered as in the paper: 0 top-left, 1 top-right, 2 bottom-left, 3 bottom-right.
Both directions only move pixels, so a transform built on them interpolates nothing.
"""

from __future__ import annotations

from keras_gssl.backend import tf

NUM_QUADRANTS = 4


def check_image_size(height: int | None, width: int | None) -> None:
    """Raise `ValueError` unless images of this size have four equal square quadrants."""
    if height is None or width is None or height != width or height % 2:
        raise ValueError(
            f"Pretext tasks act on one quadrant of a square image with an even side; received images of "
            f"{height}x{width} pixels. Resize or crop the images first, for example to 32x32."
        )


def split(images: tf.Tensor) -> tf.Tensor:
    """Cut images into their quadrants.

    Args:
        images: Any dtype, shape `(batch, side, side, channels)`, `side` even.

    Returns:
        Same dtype, shape `(batch, 4, side // 2, side // 2, channels)`.
    """
    _, height, width, channels = images.shape
    check_image_size(height, width)
    half = height // 2
    rows_and_columns = tf.reshape(images, (-1, 2, half, 2, half, channels))
    return tf.reshape(tf.transpose(rows_and_columns, (0, 1, 3, 2, 4, 5)), (-1, NUM_QUADRANTS, half, half, channels))


def join(quadrants: tf.Tensor) -> tf.Tensor:
    """Put quadrants back together; the inverse of `split`."""
    half, channels = quadrants.shape[2], quadrants.shape[4]
    rows_and_columns = tf.reshape(quadrants, (-1, 2, 2, half, half, channels))
    return tf.reshape(tf.transpose(rows_and_columns, (0, 1, 3, 2, 4, 5)), (-1, 2 * half, 2 * half, channels))


def take(quadrants: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """The quadrant at `positions[i]` of every image, shape `(batch, side // 2, side // 2, channels)`."""
    return tf.gather(quadrants, positions, axis=1, batch_dims=1)


def replace(quadrants: tf.Tensor, positions: tf.Tensor, patches: tf.Tensor) -> tf.Tensor:
    """Quadrants with the one at `positions[i]` replaced by `patches[i]`."""
    chosen = positions[:, tf.newaxis] == tf.range(NUM_QUADRANTS, dtype=positions.dtype)
    return tf.where(chosen[:, :, tf.newaxis, tf.newaxis, tf.newaxis], patches[:, tf.newaxis], quadrants)
