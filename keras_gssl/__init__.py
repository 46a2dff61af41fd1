"""Gated self-supervised learning for long-tailed image classification, for Keras 3 on TensorFlow.

>>> import keras_gssl as gssl
"""

import os as _os
import sys as _sys

# These are read once, when TensorFlow and Keras are first imported. The package is written for TensorFlow (tf.data,
# tf.image). TensorFlow leaves oneDNN's kernels off on CPUs without AVX-512; with them small convolutions are several
# times as fast there too.
_os.environ.setdefault("KERAS_BACKEND", "tensorflow")
_os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
_os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # small runs share a GPU; else the first takes it whole
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors, not every notice

__version__ = "0.1.0"

#: `python -m keras_gssl.predict` classifies with ONNX files without TensorFlow, so nothing is imported for it.
_ONLY_PREDICTING = "keras_gssl.predict" in _sys.orig_argv and _sys.argv[0] == "-m"

if not _ONLY_PREDICTING:
    from keras_gssl.quiet_tensorflow import import_tensorflow as _import_tensorflow

    _import_tensorflow()

    if _os.environ["KERAS_BACKEND"] == "tensorflow":
        from keras.backend import backend as _backend
    else:
        # Keras fails to import where the other backend is not installed, with an error that does not say why.
        _backend = _os.environ["KERAS_BACKEND"].__str__

    if _backend() != "tensorflow":
        raise ImportError(
            f"keras_gssl needs Keras on TensorFlow, received backend {_backend()!r}: "
            f"set the environment variable KERAS_BACKEND=tensorflow before Keras is imported."
        )

    from keras_gssl import (
        applications,
        backbones,
        baselines,
        data,
        errors,
        export,
        gating,
        layers,
        losses,
        metrics,
        quadrants,
        replicas,
        schedules,
        tasks,
    )
    from keras_gssl.gating import FrozenGate, LearnedGate, NoGate, RewardedGate
    from keras_gssl.layers import CosineHead, FusedBatchNormalization, OptionAShortcut
    from keras_gssl.losses import LDAMLoss, class_balanced_weights, ldam_margins
    from keras_gssl.model import GatedSSLModel
    from keras_gssl.optimizers import SGD
    from keras_gssl.schedules import DeferredReweighting, StepSchedule
    from keras_gssl.tasks import Flip, LoRotE, PretextTask, ShuffleChannels

__all__ = [
    "SGD",
    "CosineHead",
    "DeferredReweighting",
    "Flip",
    "FrozenGate",
    "FusedBatchNormalization",
    "GatedSSLModel",
    "LDAMLoss",
    "LearnedGate",
    "LoRotE",
    "NoGate",
    "OptionAShortcut",
    "PretextTask",
    "RewardedGate",
    "ShuffleChannels",
    "StepSchedule",
    "applications",
    "backbones",
    "baselines",
    "class_balanced_weights",
    "data",
    "errors",
    "export",
    "gating",
    "layers",
    "ldam_margins",
    "losses",
    "metrics",
    "quadrants",
    "replicas",
    "schedules",
    "tasks",
]
