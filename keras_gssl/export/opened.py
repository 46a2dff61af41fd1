"""Exported files, opened for use: ONNX, LiteRT, SavedModel and Keras behind one interface.

An ONNX file needs NumPy and onnxruntime alone: nothing here imports TensorFlow before a file asks for it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.special import softmax

from keras_gssl.errors import UserError
from keras_gssl.export.interface import LITERT_METADATA, SAVED_MODEL_METADATA, Runner
from keras_gssl.export.metadata import check_metadata
from keras_gssl.export.runners import litert_runner, onnx_session, saved_model_runner, session_runner


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

    @property
    def depth_range(self) -> tuple[float, float] | None:
        """Black and white of greyscale pictures of more than 8 bits."""
        found = json.loads(self.metadata.get("depth_range", "null"))
        return tuple(found) if found else None

    @property
    def thresholds(self) -> dict[str, float | None]:
        """From which probability on it is right as often as wished; empty if unknown."""
        return json.loads(self.metadata.get("thresholds", "{}"))

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Of each class, for one image of uint8 pixels `(height, width, channels)`."""
        outputs = self.run(self._as_input(image)[np.newaxis])[0]
        if self.metadata.get("output") == "probabilities":
            return outputs
        return softmax(outputs)

    def _as_input(self, image: np.ndarray) -> np.ndarray:
        if not json.loads(self.metadata["normalisation"])["inside"]:
            raise UserError(
                "The file leaves the normalisation of images to its caller and does not say which: export it with "
                "the normalisation inside."
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
        exported = Exported(saved_model_runner(path), _as_text(file.read_text("utf-8")) if file.exists() else {})
    elif path.suffix == ".keras" or (path / "settings.json").exists():
        from keras_gssl.export.calibrated import calibrate
        from keras_gssl.export.deployable import load_deployable

        model = calibrate(load_deployable(path), path)
        exported = Exported(model.logits, model.metadata("uint8", probabilities=False))
    else:
        raise UserError(
            f"{path} is not a model: expected a file .onnx, .tflite or .keras, a SavedModel's folder or a run folder."
        )
    check_metadata(path, exported.metadata)
    channels = json.loads(exported.metadata["image_shape"])[-1]
    if channels != 3:
        raise UserError(f"{path} takes images of {channels} channels; pictures are read in three (RGB).")
    return exported


def _open_onnx(path: Path) -> Exported:
    session = onnx_session(path)
    return Exported(session_runner(session), session.get_modelmeta().custom_metadata_map)


def _litert_metadata(path: Path) -> dict[str, str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return _as_text(archive.read(LITERT_METADATA))
    except (zipfile.BadZipFile, KeyError):
        return {}


def _as_text(content: str | bytes) -> dict[str, str]:
    """Entries of a file by name; none where it is not as the exporters write it."""
    try:
        entries = json.loads(content)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in entries.items()} if isinstance(entries, dict) else {}
