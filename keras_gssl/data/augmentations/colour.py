"""Changes of colour of whole image batches, equal to Pillow's, each image with amounts of its own.

Most of them map grey levels to grey levels. These make and change tables of shape `(batch, channels, 256)`, with 1 in
place of what is common to all; `look_up` applies them to the images in one gather.

Factors are 1 for no change.

Example:

>>> from keras_gssl.data.augmentations.colour import identity, look_up, solarize
>>> images = tf.constant([[[[0], [100]], [[200], [255]]]], tf.uint8)
>>> look_up(images, solarize(identity(), 128))[0, :, :, 0].numpy()
array([[  0, 100],
       [ 55,   0]], dtype=uint8)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_gssl.backend import tf

LEVELS = 256
WHITE = LEVELS - 1
#: Weights of red, green and blue in a grey level, in 65,536ths (ITU-R BT.601).
LUMA = (19595, 38470, 7471)


def identity() -> tf.Tensor:
    """The table that changes nothing, int32, shape `(1, 1, 256)`."""
    return tf.range(LEVELS)[tf.newaxis, tf.newaxis, :]


def invert(tables: tf.Tensor) -> tf.Tensor:
    """Turn dark into light and light into dark; tables int32, shape `(batch, channels, 256)`."""
    return WHITE - tables


def solarize(tables: tf.Tensor, thresholds: Any) -> tf.Tensor:
    """Invert the levels from the threshold up: 0 inverts all, 256 none.

    Args:
        tables: int32, shape `(batch, channels, 256)`.
        thresholds: Whole numbers, one or shape `(batch,)`.
    """
    return tf.where(tables < _per_image(thresholds, tf.int32), tables, WHITE - tables)


def posterize(tables: tf.Tensor, bits: Any) -> tf.Tensor:
    """Keep the uppermost bits of the levels: 8 keeps all.

    Args:
        tables: int32, shape `(batch, channels, 256)`.
        bits: Whole numbers 1-8, one or shape `(batch,)`.
    """
    dropped = 8 - _per_image(bits, tf.int32)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(tables, dropped), dropped)


def brightness(tables: tf.Tensor, factors: Any) -> tf.Tensor:
    """Multiply the levels: 0 makes all black.

    Args:
        tables: int32, shape `(batch, channels, 256)`.
        factors: One or shape `(batch,)`.
    """
    return contrast(tables, factors, 0)


def contrast(tables: tf.Tensor, factors: Any, means: Any) -> tf.Tensor:
    """Move the levels away from the mean: 0 makes all grey.

    Args:
        tables: int32, shape `(batch, channels, 256)`.
        factors: One or shape `(batch,)`.
        means: Whole numbers, one or shape `(batch,)`; in Pillow `mean_level(grey(images))`.
    """
    blended = _blend(_per_image(means, tf.float32), tf.cast(tables, tf.float32), _per_image(factors, tf.float32))
    return tf.cast(blended, tf.int32)


def autocontrast(histograms: tf.Tensor) -> tf.Tensor:
    """Tables that stretch the levels of every channel over 0-255, int32, shape `(batch, channels, 256)`.

    Args:
        histograms: int32, shape `(batch, channels, 256)`; see `histogram`.
    """
    counts = _cumulative(histograms)
    low, high = (tf.reduce_sum(tf.cast(below, tf.int32), 2) for below in (counts == 0, counts < counts[:, :, -1:]))
    # Pillow rounds the product of level and scale before the difference is taken and rounded down. Such products from
    # a table are the same on every device; calculated there, product and difference might become one operation.
    scales = 255.0 / np.maximum(np.arange(LEVELS), 1)
    products = tf.gather(tf.constant(scales[:, np.newaxis] * np.arange(LEVELS)), high - low)
    stretched = products - tf.gather(products, low, axis=2, batch_dims=2)[:, :, tf.newaxis]
    stretched = tf.cast(tf.clip_by_value(stretched, 0, WHITE), tf.int32)
    return tf.where((high > low)[:, :, tf.newaxis], stretched, identity())


def equalize(histograms: tf.Tensor) -> tf.Tensor:
    """Tables that make all levels about equally frequent, int32, shape `(batch, channels, 256)`.

    Args:
        histograms: int32, shape `(batch, channels, 256)`; see `histogram`.
    """
    counts = _cumulative(histograms)
    darker = counts - histograms
    # The pixels of the lightest level do not count, for it becomes white anyway.
    step = tf.reduce_max(tf.where(histograms > 0, darker, 0), 2, keepdims=True) // WHITE
    spread = (darker + step // 2) // tf.maximum(step, 1)
    return tf.where(step > 0, tf.minimum(spread, WHITE), identity())


def histogram(images: tf.Tensor) -> tf.Tensor:
    """How often each level occurs in every channel of every image, int32, shape `(batch, channels, 256)`.

    Args:
        images: uint8, shape `(batch, height, width, channels)`.
    """
    batch, channels = tf.shape(images)[0], images.shape[3]
    cells = tf.reshape(_cells(images), (-1,))
    counts = tf.math.unsorted_segment_sum(tf.ones_like(cells), cells, batch * (channels * LEVELS))
    return tf.reshape(counts, (batch, channels, LEVELS))


def look_up(images: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """Apply to every channel of every image its table.

    Args:
        images: uint8, shape `(batch, height, width, channels)`.
        tables: int32, values 0-255, shape `(batch, channels, 256)`; `batch` and `channels` may be 1.

    Returns:
        uint8, the shape of `images`.
    """
    tables = tf.broadcast_to(tf.cast(tables, tf.uint8), (tf.shape(images)[0], images.shape[3], LEVELS))
    # Faster than tf.gather, which does more for every pixel.
    found = tf.gather_nd(tf.reshape(tables, (-1,)), _cells(images)[..., tf.newaxis])
    return tf.reshape(found, tf.shape(images))


def grey(images: tf.Tensor) -> tf.Tensor:
    """Grey levels of images with 1 or 3 channels, int32, shape `(batch, height, width)`.

    Args:
        images: uint8, shape `(batch, height, width, channels)`.
    """
    if images.shape[3] == 1:
        return tf.cast(images[..., 0], tf.int32)
    red, green, blue = (weight * tf.cast(images[..., i], tf.int32) for i, weight in enumerate(LUMA))
    return tf.bitwise.right_shift(red + green + blue + 2**15, 16)


def mean_level(levels: tf.Tensor) -> tf.Tensor:
    """Mean of each image's grey levels, rounded, int32, shape `(batch,)`.

    Args:
        levels: int32, shape `(batch, height, width)`.
    """
    count = int(np.prod(levels.shape[1:]))
    if (2 * WHITE + 1) * count > tf.int32.max:
        levels = tf.cast(levels, tf.int64)
    return tf.cast((2 * tf.reduce_sum(levels, (1, 2)) + count) // (2 * count), tf.int32)


def saturation(levels: tf.Tensor, factors: Any, greys: tf.Tensor) -> tf.Tensor:
    """Move the colours away from grey: 0 leaves none.

    Args:
        levels: float32, whole numbers 0-255, shape `(batch, height, width, channels)`.
        factors: One or shape `(batch,)`.
        greys: int32, shape `(batch, height, width)`; see `grey`.

    Returns:
        float32, whole numbers 0-255, the shape of `levels`.
    """
    return _blend(tf.cast(greys, tf.float32)[..., tf.newaxis], levels, _per_image(factors, tf.float32, 4))


def sharpness(levels: tf.Tensor, factors: Any) -> tf.Tensor:
    """Move the levels away from those around them: 0 blurs, 2 sharpens; the outermost pixels stay.

    Args:
        levels: float32, whole numbers 0-255, shape `(batch, height, width, channels)`.
        factors: One or shape `(batch,)`.

    Returns:
        float32, whole numbers 0-255, the shape of `levels`.
    """
    height, width, channels = levels.shape[1:]
    if min(height, width) < 3:
        return levels
    # Long rows are added faster than single pixels.
    rows = tf.reshape(levels, (-1, height, width * channels))
    inner = rows[:, 1:-1, channels:-channels]
    sums = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    sums = sums[:, :, : -2 * channels] + sums[:, :, channels:-channels] + sums[:, :, 2 * channels :]
    smooth = tf.floor((sums + 4 * inner) * (1 / 13) + 0.5)
    change = _blend(smooth, inner, _per_image(factors, tf.float32)) - inner
    return levels + tf.reshape(tf.pad(change, ((0, 0), (1, 1), (channels, channels))), tf.shape(levels))


def _blend(base: tf.Tensor, levels: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """From `base` (factor 0) to `levels` (factor 1) and beyond, all float32, rounded as by Pillow."""
    change = factors * (levels - base)
    # Changes nothing, but keeps compilers from making one operation, rounded once, of the product and the sum.
    change = tf.maximum(change, -1e9)
    return tf.floor(tf.clip_by_value(base + change, 0, WHITE))


def _cumulative(histograms: tf.Tensor) -> tf.Tensor:
    # Sums over 1, 2, 4, ... levels: faster than tf.cumsum.
    distance = 1
    while distance < LEVELS:
        histograms += tf.pad(histograms, ((0, 0), (0, 0), (distance, 0)))[:, :, :LEVELS]
        distance *= 2
    return histograms


def _cells(images: tf.Tensor) -> tf.Tensor:
    """Position of each level in tables of shape `(batch * channels * 256,)`, int32, `(batch, pixels * channels)`."""
    batch, (height, width, channels) = tf.shape(images)[0], images.shape[1:]
    within = tf.tile(tf.range(channels) * LEVELS, [height * width])  # no constant of the size of an image
    first = tf.range(batch)[:, tf.newaxis] * (channels * LEVELS)
    return tf.reshape(tf.cast(images, tf.int32), (batch, -1)) + within + first


def _per_image(values: Any, dtype: tf.DType, rank: int = 3) -> tf.Tensor:
    return tf.reshape(tf.cast(values, dtype), (-1,) + (1,) * (rank - 1))
