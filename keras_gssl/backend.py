"""Keras and TensorFlow, imported here for the whole package: without TensorFlow's notices, and checked.

Modules write `from keras_gssl.backend import keras, ops, tf`. So TensorFlow is loaded as it should be whatever of the
package is used first, and what needs none does not load it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from keras_gssl.quiet_tensorflow import held_back

with held_back():
    import tensorflow as tf

    tf.config.list_physical_devices()  # where there is no GPU TensorFlow says so when it first looks

# Keras fails to import where the other backend is not installed, with an error that does not say why.
_backend = sys.modules["keras"].backend.backend() if "keras" in sys.modules else os.environ["KERAS_BACKEND"]
if _backend != "tensorflow":
    raise ImportError(
        f"keras_gssl needs Keras on TensorFlow, received backend {_backend!r}: "
        f"set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
    )

import keras  # noqa: E402
from keras import ops  # noqa: E402

__all__ = ["keras", "ops", "save", "tf"]


def save(model: keras.Model, path: Path) -> None:
    """`model.save(path)`, without the 70 KiB that Keras leaves in memory for every file.

    It makes an optimizer anew to see which attributes of the model's it need not look at, as what it found is written
    down under one name and looked up under another; and TensorFlow keeps something for every variable's name. Where
    Keras has been changed, nothing is done.
    """
    with contextlib.suppress(ImportError, AttributeError):
        from keras.src.backend.common import global_state
        from keras.src.saving import saving_lib

        for kind in ("Optimizer", "Metric", "Loss", "Layer", "Functional"):
            name = f"saving_attr_skiplist_{kind}"
            if global_state.get_global_attribute(name) is None:
                global_state.set_global_attribute(name, saving_lib.get_attr_skipset(kind))
    model.save(path)
