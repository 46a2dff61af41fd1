"""Random shifts and mirror images of whole batches, as pure functions of seeds."""

from __future__ import annotations

from keras_gssl.backend import tf
from keras_gssl.draws import whole_numbers


def random_crop(images: tf.Tensor, padding: int, row_seed: tf.Tensor, column_seed: tf.Tensor) -> tf.Tensor:
    """Shift every image by up to `padding` pixels each way; what comes in is black (0)."""
    batch, (height, width) = tf.shape(images)[0], images.shape[1:3]
    padded = tf.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def shifted(seed: tf.Tensor, length: int) -> tf.Tensor:
        shift = whole_numbers(seed, 0, (batch, 1), 2 * padding + 1)
        return shift + tf.range(length)

    rows, columns = shifted(row_seed, height), shifted(column_seed, width)
    # One gather of whole pixels is faster than one along rows and one along columns.
    pixels = tf.reshape(padded, (batch, -1, images.shape[3]))
    positions = rows[:, :, tf.newaxis] * (width + 2 * padding) + columns[:, tf.newaxis, :]
    return tf.gather(pixels, positions, axis=1, batch_dims=1)


def random_mirror(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flip each image left-right with probability 1/2."""
    mirrored = whole_numbers(seed, 0, (tf.shape(images)[0], 1, 1, 1), 2)
    return tf.where(mirrored == 1, tf.image.flip_left_right(images), images)
