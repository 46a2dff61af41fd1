"""Random whole numbers as pure functions of a seed, equal on every device."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import tf


def whole_numbers(seed: Any, index: int, shape: Any, below: int, dtype: Any = tf.int32) -> tf.Tensor:
    """Whole numbers from 0 up to `below`, exclusive, drawn uniformly.

    Whole numbers, with the generator named and small seeds: of these XLA draws the same ones on a GPU as a CPU does,
    which of floats, or with another generator, is not so.

    Args:
        seed: int32 or int64, shape `(2,)`.
        index: Which draw of this seed; added to its first word.
        shape: Of the result.
        below: See above.
        dtype: `tf.int32` or `tf.int64`.
    """
    seed = tf.convert_to_tensor(seed)
    return tf.random.stateless_uniform(shape, seed + tf.constant((index, 0), seed.dtype), 0, below, dtype, "philox")
