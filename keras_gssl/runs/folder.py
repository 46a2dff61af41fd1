"""The folder of one training run: which files are in it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from keras_gssl.errors import UserError


class RunFolder:
    """Paths of one run.

    settings.json    every setting of the run
    data.json        class names, class counts, preprocessing: what a user of the classifier needs
    samples.npz      a few test images, to check exports on
    history.csv      one row per epoch, epochs counted from 0
    checkpoint-N     the whole training state after N epochs, while the run goes on
    last.keras       the model after the last epoch
    best.keras       the model of the best epoch, on the validation images, without any on the test set
    classifier.keras the last model without pretext heads, stock Keras layers only
    metrics.json     final metrics, last and best epoch apart: a `RunResult`
    predictions.npz  logits and features of the test images after the last epoch, the most confident mistakes, and the
                     logits of the validation images, if there are any
    calibration.json the class mix that the logits stand for, and the temperature that validation images ask for
    pictures.csv     of one's own pictures: every file with its class, and whether it was held out
    doubles.csv      of one's own pictures: those for validation or testing that are nearly the same as another one
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
        self.calibration = self.path / "calibration.json"
        self.pictures = self.path / "pictures.csv"
        self.doubles = self.path / "doubles.csv"
        self.report = self.path / "report.html"
        self.model_card = self.path / "model_card.md"
        self.tensorboard = self.path / "tensorboard"

    @classmethod
    def around(cls, source: str | os.PathLike[str]) -> RunFolder:
        """The folder that a run's own path is, or that a file of it lies in."""
        path = Path(source)
        return cls(path if path.is_dir() else path.parent)

    def make(self) -> None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot make the run folder {self.path}: {error.strerror}. Choose another folder."
            ) from error

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
        with self.history.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if epochs is None or int(row["epoch"]) < epochs]
