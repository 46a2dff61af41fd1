"""What is written while a run goes on, so that a killed one can go on where it was."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_gssl.backend import keras
from keras_gssl.files import replacing
from keras_gssl.runs.folder import RunFolder


class EpochWriter(keras.callbacks.Callback):
    """After every epoch: history row, best model, training state; a kill loses one epoch at most.

    The state's file name carries the number of finished epochs, and files appear by renaming only: whatever moment the
    process dies at, history and state can be brought to the same epoch.
    """

    def __init__(self, folder: RunFolder, finished_epochs: int):
        super().__init__()
        self.folder = folder
        self.rows: list[dict[str, Any]] = list(folder.read_history(finished_epochs))
        self.best = max((figure for row in self.rows if (figure := deciding(row)) is not None), default=-1.0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        row = {"epoch": epoch, **{name: float(value) for name, value in (logs or {}).items()}}
        self.rows.append(row)
        columns = list(dict.fromkeys(name for each in self.rows for name in each))
        with replacing(self.folder.history) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        figure = deciding(row)
        if figure is not None and figure > self.best:
            self.best = figure
            save_model(self.model, self.folder.best)
        save_model(self.model, self.folder.path / f"checkpoint-{epoch + 1:04d}.keras")
        (self.folder.path / f"checkpoint-{epoch:04d}.keras").unlink(missing_ok=True)


def deciding(row: Mapping[str, Any]) -> float | None:
    """The figure of an epoch that says how good it is: on validation images, which have the long tail of the training,
    the balanced accuracy, else the accuracy; None where the epoch was not evaluated."""
    values = (row.get(name) for name in ("val_balanced_accuracy", "val_accuracy"))
    return next((float(value) for value in values if value not in (None, "")), None)


def save_model(model: keras.Model, path: Path) -> None:
    """Save so that `path` is either the old file or the whole new one."""
    with replacing(path) as partial:
        model.save(partial)


def finish(folder: RunFolder) -> None:
    """The last checkpoint becomes `last.keras`. A run without evaluated epochs has no better one to call best."""
    _, checkpoint = folder.checkpoint()
    if checkpoint is None:
        return
    if not folder.best.exists():
        shutil.copy(checkpoint, folder.best)
    if checkpoint != folder.last:
        os.replace(checkpoint, folder.last)
