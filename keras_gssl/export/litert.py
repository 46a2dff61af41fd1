"""The classifier as a LiteRT (TensorFlow Lite) file, in float32 or int8."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.export.check import TestImages, as_input, check_file
from keras_gssl.export.deployable import Deployable, as_deployable
from keras_gssl.export.interface import LITERT_METADATA, output_name
from keras_gssl.export.runners import litert_runner, quiet_litert
from keras_gssl.export.saved_model import write_bare
from keras_gssl.files import replacing


def to_litert(
    model: Deployable | keras.Model,
    path: str | os.PathLike[str],
    input_type: str = "uint8",
    probabilities: bool = False,
    calibration: np.ndarray | None = None,
    test: TestImages | None = None,
) -> Path:
    """Write a `.tflite` file with input `image` and output `logits` (or `probabilities`), batch size free.

    A float32 file is compared with Keras as an ONNX file is. The file appears under its name only if it passes. Class
    names and preprocessing are packed at its end, as a zip archive with `metadata.json`.

    Args:
        model: A classifier, with its normalisation if that is to be part of the graph.
        path: File to write.
        input_type: `"uint8"` or `"float32"`; pixels 0-255 either way if the normalisation is known.
        probabilities: Softmax of the logits.
        calibration: Training images, uint8: gives a file that computes in int8, with ranges that these images lead to.
            It is checked by its accuracy on `test` alone.
        test: Test images on which the file must be about as accurate as Keras.

    Raises:
        ExportError: If the file's results or its accuracy differ too far from Keras'.

    Example:

    >>> classifier = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), num_classes=10).classifier()
    >>> written = gssl.export.to_litert(classifier, "classifier.tflite", input_type="float32")
    """
    model = as_deployable(model)
    path, output = Path(path), output_name(probabilities)
    serve = model.function(input_type, probabilities)
    with tempfile.TemporaryDirectory() as scratch:
        write_bare(model, serve, Path(scratch), input_type, output)
        converter = tf.lite.TFLiteConverter.from_saved_model(scratch)
        if calibration is not None:
            pixels = as_input(model, calibration, input_type)
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[np.newaxis]] for image in pixels)
        with quiet_litert():
            content = converter.convert()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(LITERT_METADATA, json.dumps(model.metadata(input_type, probabilities), indent=2) + "\n")
        check_file(model, serve, litert_runner(partial), input_type, "LiteRT file", calibration is None, test)
    return path
