"""Inference of the exported classifier, by format and batch size."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = {1: 300, 256: 4096}  # per round, by batch size
FORMATS = ("keras", "saved_model", "onnx", "onnx_int8", "litert", "litert_int8")


def inference(kind: str, batch: int) -> Callable[[], float]:
    """Classify `IMAGES[batch]` images; the format's own threads, CPU only for ONNX and LiteRT."""
    run = _runner(kind, batch)
    images = np.random.default_rng(0).integers(0, 256, (batch, 32, 32, 3), dtype="uint8")

    def one_round() -> float:
        start = time.perf_counter()
        for _ in range(IMAGES[batch] // batch):
            run(images)
        return time.perf_counter() - start

    return one_round


def _runner(kind: str, batch: int) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    import keras_gssl as gssl
    from keras_gssl.export.deployable import Deployable
    from keras_gssl.export.litert import to_litert
    from keras_gssl.export.onnx_file import to_onnx
    from keras_gssl.export.runners import litert_runner, onnx_runner, saved_model_runner
    from keras_gssl.export.saved_model import to_saved_model

    classifier = gssl.GatedSSLModel(gssl.backbones.resnet32(), 10).classifier()
    model = Deployable(classifier, (0.49, 0.48, 0.45), (0.2, 0.2, 0.2))
    folder = Path(tempfile.mkdtemp())
    calibration = np.random.default_rng(1).integers(0, 256, (32, 32, 32, 3), dtype="uint8")
    quantised = {"calibration": calibration} if kind.endswith("int8") else {}
    if kind == "keras":
        serve = tf.function(model.function("uint8", False), input_signature=[tf.TensorSpec((None, 32, 32, 3), "uint8")])
        return lambda images: serve(tf.constant(images)).numpy()
    if kind == "saved_model":
        return saved_model_runner(to_saved_model(model, folder / "model"))
    if kind.startswith("onnx"):
        return onnx_runner(to_onnx(model, folder / "model.onnx", **quantised))
    return litert_runner(to_litert(model, folder / "model.tflite", **quantised))
