"""Functions that run exported files: from a batch of images to outputs.

An ONNX file needs NumPy and onnxruntime alone: nothing here imports TensorFlow before a file asks for it.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_gssl.errors import UserError
from keras_gssl.export.interface import INPUT_NAME, Runner
from keras_gssl.quiet_tensorflow import held_back
from keras_gssl.sharing import usable_cores


def onnx_session(path: str | os.PathLike[str]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("An ONNX file needs onnxruntime: pip install onnxruntime.") from error
    try:
        return onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a class of its own for every way in which a file can be broken
        raise UserError(f"onnxruntime cannot load {path}: {str(error).splitlines()[0]}") from error


def onnx_runner(path: str | os.PathLike[str]) -> Runner:
    """A function from images to outputs, on all cores."""
    return session_runner(onnx_session(path))


def session_runner(session: Any) -> Runner:
    """A function from images to outputs that runs an onnxruntime session."""
    name = session.get_outputs()[0].name
    return lambda images: session.run([name], {INPUT_NAME: images})[0]


def saved_model_runner(path: str | os.PathLike[str]) -> Runner:
    """A function from images to outputs."""
    from keras_gssl.backend import tf

    try:
        loaded = tf.saved_model.load(os.fspath(path))
        signature = loaded.signatures["serving_default"]
        (output,) = signature.structured_outputs
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{path} is not a SavedModel with one output under serving_default.") from error

    def run(images: np.ndarray) -> np.ndarray:
        assert loaded  # the signature alone does not keep the variables alive
        return signature(**{INPUT_NAME: tf.constant(images)})[output].numpy()

    return run


def litert_runner(path: str | os.PathLike[str]) -> Runner:
    """A function from images to outputs, on all cores."""
    from keras_gssl.backend import tf

    with quiet_litert():
        try:
            interpreter = tf.lite.Interpreter(os.fspath(path), num_threads=len(usable_cores()))
        except ValueError as error:
            raise UserError(f"LiteRT cannot load {path}: {str(error).splitlines()[0]}") from error
    current: list[int] = []

    def run(images: np.ndarray) -> np.ndarray:
        if current != [len(images)]:
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
            with held_back():
                interpreter.allocate_tensors()
            current[:] = [len(images)]
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


@contextlib.contextmanager
def quiet_litert() -> Iterator[None]:
    """TensorFlow warns that this part of it will one day move to another package, and of what it has converted."""
    with warnings.catch_warnings(), held_back():
        warnings.simplefilter("ignore")
        yield
