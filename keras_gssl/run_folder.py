"""The folder of one training run: what is in it, and how it is written so that a killed run can go on."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_gssl import data as data_sets
from keras_gssl.data import ImageData
from keras_gssl.data.image_folder import load_listing
from keras_gssl.errors import UserError

SAMPLE_COUNT = 16


class RunFolder:
    """Paths and files of one run.

    settings.json    every setting of the run
    data.json        class names, class counts, preprocessing: what a user of the classifier needs
    samples.npz      a few test images, to check exports on
    history.csv      one row per epoch, epochs counted from 0
    checkpoint-N     the whole training state after N epochs, while the run goes on
    last.keras       the model after the last epoch
    best.keras       the model of the best epoch on the test set
    classifier.keras the last model without pretext heads, stock Keras layers only
    metrics.json     final metrics, last and best epoch apart
    predictions.npz  logits and features of the test images after the last epoch, and the most confident mistakes
    pictures.csv     of one's own pictures: every file with its class, and whether it was held out
    report.html      the run as one page
    model_card.md    what the classifier is, what it was trained on, how good it is
    tensorboard/     logs
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.settings = self.path / "settings.json"
        self.data = self.path / "data.json"
        self.samples = self.path / "samples.npz"
        self.history = self.path / "history.csv"
        self.last = self.path / "last.keras"
        self.best = self.path / "best.keras"
        self.classifier = self.path / "classifier.keras"
        self.metrics = self.path / "metrics.json"
        self.predictions = self.path / "predictions.npz"
        self.pictures = self.path / "pictures.csv"
        self.report = self.path / "report.html"
        self.model_card = self.path / "model_card.md"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def choose(cls, name: str, run_dir: str | None, resume: bool) -> RunFolder:
        """The folder asked for; by default `runs/NAME`, or the next free `runs/NAME-2`, ... (the newest to resume)."""
        if run_dir:
            folder = cls(run_dir)
            if resume and not folder.settings.exists():
                raise UserError(
                    f"Nothing to resume in {run_dir}: it has no settings.json. Leave --resume out to start there."
                )
            if not resume and folder.settings.exists():
                raise UserError(
                    f"{run_dir} already holds a run. Add --resume to go on with it, or choose another --run-dir."
                )
            return folder
        number, path = 1, Path("runs") / name
        taken = []
        while (path / "settings.json").exists():
            taken.append(path)
            number += 1
            path = Path("runs") / f"{name}-{number}"
        if resume:
            if not taken:
                raise UserError(f"Nothing to resume: there is no runs/{name}. Name the folder with --run-dir.")
            return cls(taken[-1])
        return cls(path)

    def make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot make the run folder {self.path}: {error.strerror}. Choose another --run-dir."
            ) from error

    def start(self, settings: Mapping[str, Any], data: ImageData) -> None:
        """Write what is known before the first epoch."""
        self.make()
        write_json(self.data, describe(data))
        if data.listing is not None:
            data.listing.write(self.pictures)
        np.savez(self.samples, images=data.test_images[:SAMPLE_COUNT], labels=data.test_labels[:SAMPLE_COUNT])
        write_json(self.settings, settings)  # last: its presence marks a run that can be resumed

    def checkpoint(self) -> tuple[int, Path | None]:
        """Finished epochs and the training state after them."""
        if self.last.exists():
            return len(self.read_history()), self.last
        found = {int(path.stem.split("-")[1]): path for path in self.path.glob("checkpoint-*.keras")}
        epochs = max(found, default=0)
        return epochs, found.get(epochs)

    def read_history(self, epochs: int | None = None) -> list[dict[str, str]]:
        """The rows of the first `epochs` epochs, or all."""
        if not self.history.exists():
            return []
        with self.history.open(newline="") as file:
            return [row for row in csv.DictReader(file) if epochs is None or int(row["epoch"]) < epochs]


class EpochWriter(keras.callbacks.Callback):
    """After every epoch: history row, best model, training state; a kill loses one epoch at most.

    The state's file name carries the number of finished epochs, and files appear by renaming only: whatever moment the
    process dies at, history and state can be brought to the same epoch.
    """

    def __init__(self, folder: RunFolder, finished_epochs: int):
        super().__init__()
        self.folder = folder
        self.rows: list[dict[str, Any]] = list(folder.read_history(finished_epochs))
        self.best = max((float(row["val_accuracy"]) for row in self.rows if row.get("val_accuracy")), default=-1.0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        row = {"epoch": epoch, **{name: float(value) for name, value in (logs or {}).items()}}
        self.rows.append(row)
        columns = list(dict.fromkeys(name for each in self.rows for name in each))
        partial = self.folder.history.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)
        os.replace(partial, self.folder.history)
        if row.get("val_accuracy", -1.0) > self.best:
            self.best = row["val_accuracy"]
            save_model(self.model, self.folder.best)
        save_model(self.model, self.folder.path / f"checkpoint-{epoch + 1:04d}.keras")
        (self.folder.path / f"checkpoint-{epoch:04d}.keras").unlink(missing_ok=True)


def reload_data(folder: RunFolder, data_dir: str | None = None) -> ImageData:
    """The data set that a run was made with.

    Args:
        folder: The run.
        data_dir: Where the data set is now, if not where its own default says.

    Raises:
        UserError: The run was made with arrays, which are not kept.
    """
    about = read_json(folder.data)
    source = dict(about.get("source") or {})
    if not source:
        raise UserError(f"The data of the run in {folder.path} cannot be loaded again: it was given as arrays.")
    function, head = source.pop("function"), source.pop("head", None)
    if function == "image_folder":
        listing = data_sets.list_pictures(folder.pictures, root=data_dir or source.pop("root"))
        source.pop("root", None)
        loaded = load_listing(listing, cache="disk", known=about, **source)
    else:
        if data_dir is not None:
            if "data_dir" not in source:
                raise UserError(f"{about['name']} does not come from a folder: leave --data-dir out.")
            source["data_dir"] = data_dir
        loaded = getattr(data_sets, function)(**source)
    return loaded.head(*head) if head else loaded


def describe(data: ImageData) -> dict[str, Any]:
    """What a user of the classifier has to know about the data it was trained on."""
    return {
        "name": data.name,
        "class_names": list(data.class_names),
        "class_counts": data.class_counts,
        "image_shape": list(data.image_shape),
        "mean": list(data.mean),
        "std": list(data.std),
        "subset_sha256": data.subset_hash,
        "test_images": len(data.test_labels),
        "source": data.source,
    }


def save_model(model: keras.Model, path: Path) -> None:
    """Save so that `path` is either the old file or the whole new one."""
    partial = path.with_name(f"partial-{path.name}")
    model.save(partial)
    os.replace(partial, path)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def finish(folder: RunFolder) -> None:
    """The last checkpoint becomes `last.keras`. A run without evaluated epochs has no better one to call best."""
    _, checkpoint = folder.checkpoint()
    if checkpoint is None:
        return
    if not folder.best.exists():
        shutil.copy(checkpoint, folder.best)
    if checkpoint != folder.last:
        os.replace(checkpoint, folder.last)
