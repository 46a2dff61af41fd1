"""Gated self-supervised learning for long-tailed image classification, for Keras 3 on TensorFlow.

>>> import keras_gssl as gssl

Names are imported when they are used, so this costs nothing until then, and `keras_gssl.predict` classifies with ONNX
files without TensorFlow. `__init__.pyi` lists what there is.
"""

import os as _os
import sys as _sys
from typing import Any as _Any

import wrapt as _wrapt

from keras_gssl import lazy as _lazy
from keras_gssl.version import __version__ as __version__

# These are read once, when TensorFlow and Keras are first imported. The package is written for TensorFlow (tf.data,
# tf.image). TensorFlow leaves oneDNN's kernels off on CPUs without AVX-512; with them small convolutions are several
# times as fast there too.
_os.environ.setdefault("KERAS_BACKEND", "tensorflow")
_os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
_os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # small runs share a GPU; else the first takes it whole
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors, not every notice

__getattr__, __dir__, __all__ = _lazy.public_names(__name__, __file__)


def _register_saved_classes() -> None:
    """Whoever has imported Keras and this package, in whatever order, can load the models that it has saved."""
    if "keras" in _sys.modules and _sys.modules["keras"].backend.backend() == "tensorflow":
        import keras_gssl.models.saved_classes  # noqa: F401


def _keras_was_imported(_: _Any) -> None:
    # Not in the midst of this package's own import of Keras; the name that needed it is followed by `when_used`.
    if "keras_gssl.backend" not in _sys.modules:
        _register_saved_classes()


_lazy.when_used(_register_saved_classes)
_wrapt.register_post_import_hook(_keras_was_imported, "keras")
