"""Keras and TensorFlow, imported here for the whole package: without TensorFlow's notices, and checked.

Modules write `from keras_gssl.backend import keras, ops, tf`. So TensorFlow is loaded as it should be whatever of the
package is used first, and what needs none does not load it.
"""

from __future__ import annotations

import os
import sys

from keras_gssl.quiet_tensorflow import held_back

with held_back():
    import tensorflow as tf

# Keras fails to import where the other backend is not installed, with an error that does not say why.
_backend = sys.modules["keras"].backend.backend() if "keras" in sys.modules else os.environ["KERAS_BACKEND"]
if _backend != "tensorflow":
    raise ImportError(
        f"keras_gssl needs Keras on TensorFlow, received backend {_backend!r}: "
        f"set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
    )

import keras  # noqa: E402
from keras import ops  # noqa: E402

__all__ = ["keras", "ops", "tf"]
