"""What the reports read from a run's folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from keras_gssl.errors import UserError
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult, read_result


@dataclasses.dataclass(frozen=True)
class RunData:
    """A finished run."""

    folder: RunFolder
    result: RunResult
    about: dict[str, Any]
    history: dict[str, np.ndarray]
    predictions: dict[str, np.ndarray]
    calibration: dict[str, Any]

    @property
    def name(self) -> str:
        return self.folder.path.resolve().name

    @property
    def class_names(self) -> list[str]:
        return self.about["class_names"]

    def series(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Epochs, counted from 1, and the values of a column of the history in those that have one."""
        return series_in(self.history, column)

    @property
    def probabilities(self) -> np.ndarray:
        """Of the test images, shape `(count, classes)`."""
        return softmax(self.predictions["logits"].astype("float64"), axis=1)


def history_of(folder: RunFolder) -> dict[str, np.ndarray]:
    """The columns of a run's history, finished or not; not a number where an epoch has no value."""
    rows = folder.read_history()
    columns = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([float(row.get(name) or "nan") for row in rows]) for name in columns}


def series_in(history: Mapping[str, np.ndarray], column: str) -> tuple[np.ndarray, np.ndarray]:
    """Epochs, counted from 1, and the values of a column in those that have one."""
    epochs = history.get("epoch", np.zeros(0))
    values = history.get(column, np.full(len(epochs), np.nan))
    known = ~np.isnan(values)
    return epochs[known] + 1, values[known]


def read_run(path: str | Path) -> RunData:
    """Read a run's folder, or raise `UserError` if the run has not finished."""
    folder = RunFolder(path)
    for file in (folder.metrics, folder.data, folder.history, folder.predictions, folder.samples):
        if not file.exists():
            raise UserError(f"{path} is not the folder of a finished run: it has no {file.name}. Resume the run first.")
    predictions = folder.read_arrays(folder.predictions, "labels", "logits", "features", "mistakes", "mistake_images")
    # Not in runs of version 0.1.
    calibration = folder.read_json(folder.calibration) if folder.manifest.check_if_noted(folder.calibration) else {}
    result = read_result(folder.manifest.check(folder.metrics))
    return RunData(folder, result, read_description(folder), history_of(folder), predictions, calibration)
