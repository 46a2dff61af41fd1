"""The classifier as a SavedModel, which TensorFlow alone can load."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.errors import UserError
from keras_gssl.export.check import ExportError, TestImages, compare, compare_accuracy
from keras_gssl.export.deployable import Deployable, as_deployable, signature
from keras_gssl.export.interface import INPUT_NAME, SAVED_MODEL_METADATA, output_name
from keras_gssl.export.runners import saved_model_runner
from keras_gssl.files import replacing, write_json


def to_saved_model(
    model: Deployable | keras.Model,
    path: str | os.PathLike[str],
    input_type: str = "uint8",
    probabilities: bool = False,
    test: TestImages | None = None,
) -> Path:
    """Write a SavedModel whose `serving_default` takes `image` and gives `logits` (or `probabilities`).

    It needs TensorFlow alone to load: it is compared with Keras in a process that imports nothing else. Arguments and
    errors as for `to_onnx`; an existing SavedModel of that name is replaced.
    """
    model = as_deployable(model)
    path, output = Path(path), output_name(probabilities)
    if path.exists() and not (path / "saved_model.pb").exists():
        raise UserError(f"{path} exists and is not a SavedModel: choose another name.")
    serve = model.function(input_type, probabilities)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        write_bare(model, serve, partial, input_type, output)
        (partial / SAVED_MODEL_METADATA).parent.mkdir()
        write_json(partial / SAVED_MODEL_METADATA, model.metadata(input_type, probabilities))
        compare(model, serve, lambda batches: _run_elsewhere(partial, batches, output), input_type, "SavedModel")
        if test is not None:
            compare_accuracy(model, serve, saved_model_runner(partial), input_type, test, "SavedModel")
    return path


def write_bare(
    model: Deployable, serve: Callable[[tf.Tensor], tf.Tensor], path: Path, input_type: str, output: str
) -> None:
    """A SavedModel without metadata and unchecked."""
    archive = keras.export.ExportArchive()
    archive.track(model.classifier)
    archive.add_endpoint("serve", lambda image: {output: serve(image)}, input_signature=[signature(model, input_type)])
    archive.write_out(path, verbose=False)


def _run_elsewhere(saved_model: Path, batches: list[np.ndarray], output: str) -> list[np.ndarray]:
    """Run a SavedModel in a fresh process that imports TensorFlow and NumPy alone."""
    with tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch, "in.npz"), *batches)
        code = (
            "import sys, numpy as np, tensorflow as tf\n"
            f"model = tf.saved_model.load({str(saved_model.resolve())!r}).signatures['serving_default']\n"
            "batches = np.load('in.npz')\n"
            f"np.savez('out.npz', *(model({INPUT_NAME}=tf.constant(batches[name]))[{output!r}].numpy() "
            "for name in batches.files))\n"
            "assert not any(name.startswith('keras_gssl') for name in sys.modules)\n"
        )
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=scratch
        )
        if done.returncode:
            raise ExportError(f"The SavedModel does not load by itself: {done.stderr.strip().splitlines()[-1]}")
        with np.load(Path(scratch, "out.npz")) as results:
            return [results[name] for name in results.files]
