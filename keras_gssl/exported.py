"""Exported files, opened for use: ONNX, LiteRT, SavedModel and Keras behind one interface.

An ONNX file needs NumPy and onnxruntime alone: nothing here imports TensorFlow before a file asks for it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.errors import UserError
from keras_gssl.quiet_tensorflow import held_back, import_tensorflow

INPUT_NAME = "image"
SAVED_MODEL_METADATA = Path("assets.extra") / "metadata.json"  # TensorFlow's place for what travels along
LITERT_METADATA = "metadata.json"  # in a zip archive at the end of the file
Runner = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Exported:
    """A classifier as it was exported.

    Attributes:
        run: From images `(batch, height, width, channels)` to outputs `(batch, classes)`.
        metadata: What travelled with the file; empty for files that were made by something else.
    """

    run: Runner
    metadata: Mapping[str, str]

    @property
    def class_names(self) -> list[str]:
        """Empty if unknown."""
        return json.loads(self.metadata.get("class_names", "[]"))

    @property
    def side(self) -> int:
        """Height and width of the images, in pixels."""
        return json.loads(self.metadata["image_shape"])[0]

    @property
    def fit(self) -> str:
        """How pictures of other shapes are made square."""
        return self.metadata.get("fit", "crop")

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Of each class, for one image of uint8 pixels `(height, width, channels)`."""
        outputs = self.run(self._as_input(image)[np.newaxis])[0]
        if self.metadata.get("output") == "probabilities":
            return outputs
        exponentials = np.exp(outputs - outputs.max())
        return exponentials / exponentials.sum()

    def _as_input(self, image: np.ndarray) -> np.ndarray:
        if not json.loads(self.metadata["normalisation"])["inside"]:
            raise UserError(
                "The file leaves the normalisation of images to its caller and does not say which: export it without "
                "--no-normalisation."
            )
        return image.astype(self.metadata["input"].split()[0])


def open_exported(path: str | os.PathLike[str]) -> Exported:
    """Open a file by its kind: `.onnx`, `.tflite`, the folder of a SavedModel, `.keras`, or a run folder.

    Raises:
        UserError: The file is not there, is of none of these kinds, or lacks the metadata that this package writes.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"There is no file or folder {path}.")
    if path.suffix == ".onnx":
        exported = _open_onnx(path)
    elif path.suffix == ".tflite":
        exported = Exported(litert_runner(path), _litert_metadata(path))
    elif (path / "saved_model.pb").exists():
        file = path / SAVED_MODEL_METADATA
        exported = Exported(saved_model_runner(path), json.loads(file.read_text()) if file.exists() else {})
    elif path.suffix == ".keras" or (path / "settings.json").exists():
        import_tensorflow()
        from keras_gssl.export.deployable import load_deployable

        model = load_deployable(path)
        exported = Exported(model.logits, model.metadata("uint8", probabilities=False))
    else:
        raise UserError(
            f"{path} is not a model: expected a file .onnx, .tflite or .keras, a SavedModel's folder or a run folder."
        )
    missing = {"image_shape", "normalisation", "input"} - set(exported.metadata)
    if missing:
        raise UserError(f"{path} has no {sorted(missing)[0]!r} in its metadata: export it again with this package.")
    channels = json.loads(exported.metadata["image_shape"])[-1]
    if channels != 3:
        raise UserError(f"{path} takes images of {channels} channels; pictures are read in three (RGB).")
    return exported


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
    return _runner(onnx_session(path))


def saved_model_runner(path: str | os.PathLike[str]) -> Runner:
    """A function from images to outputs."""
    import_tensorflow()
    import tensorflow as tf

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
    import_tensorflow()
    import tensorflow as tf

    with quiet_litert():
        try:
            interpreter = tf.lite.Interpreter(os.fspath(path), num_threads=os.cpu_count())
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


def _open_onnx(path: Path) -> Exported:
    session = onnx_session(path)
    return Exported(_runner(session), session.get_modelmeta().custom_metadata_map)


def _runner(session: Any) -> Runner:
    name = session.get_outputs()[0].name
    return lambda images: session.run([name], {INPUT_NAME: images})[0]


def _litert_metadata(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(LITERT_METADATA))
    except (zipfile.BadZipFile, KeyError):
        return {}
