"""The folder of one training run: which files are in it."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.errors import UserError
from keras_gssl.files import OF_ARCHIVES
from keras_gssl.runs.history import read_history
from keras_gssl.runs.lock import NAME as LOCK
from keras_gssl.runs.manifest import DamagedFileError, Manifest


class RunFolder:
    """Paths of one run, and their content as it was written: a file that is not is named by a `DamagedFileError`.

    settings.json    every setting of the run
    data.json        class names, class counts, preprocessing: what a user of the classifier needs
    samples.npz      a few test images, to check exports on
    history.csv      one row per epoch, epochs counted from 0
    checkpoint-N     the whole training state after N epochs, while the run goes on; the last two are kept
    paused.npz       where within an epoch the run was asked to stop, and beside it paused-EPOCH-STEPS.keras: its state
    last.keras       the model after the last epoch
    best.keras       the model of the best epoch, on the validation images, without any on the test set
    best_lost.json   of a run that went on without its best.keras: after how many epochs; it is of a later one then
    classifier.keras the last model without pretext heads, stock Keras layers only
    metrics.json     final metrics, last and best epoch apart: a `RunResult`
    predictions.npz  logits and features of the test images after the last epoch, the most confident mistakes, and the
                     logits of the validation images, if there are any
    calibration.json the class mix that the logits stand for, and the temperature that validation images ask for
    pictures.csv     of one's own pictures: every file with its class, and whether it was held out
    doubles.csv      of one's own pictures: those for validation or testing that are nearly the same as another one
    report.html      the run as one page
    model_card.md    what the classifier is, what it was trained on, how good it is
    teachers/        the folders of the networks that were trained first, to learn from
    tensorboard/     logs
    manifest.json    sizes and checksums of these files, but for the page, the card and the logs
    run.lock         held by the process that trains
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.settings = self.path / "settings.json"
        self.data = self.path / "data.json"
        self.samples = self.path / "samples.npz"
        self.history = self.path / "history.csv"
        self.paused = self.path / "paused.npz"
        self.last = self.path / "last.keras"
        self.best = self.path / "best.keras"
        self.best_lost = self.path / "best_lost.json"
        self.classifier = self.path / "classifier.keras"
        self.metrics = self.path / "metrics.json"
        self.predictions = self.path / "predictions.npz"
        self.calibration = self.path / "calibration.json"
        self.pictures = self.path / "pictures.csv"
        self.doubles = self.path / "doubles.csv"
        self.report = self.path / "report.html"
        self.model_card = self.path / "model_card.md"
        self.tensorboard = self.path / "tensorboard"
        self.manifest = Manifest(self.path)

    @classmethod
    def around(cls, source: str | os.PathLike[str]) -> RunFolder:
        """The folder that a run's own path is, or that a file of it lies in."""
        path = Path(source)
        return cls(path if path.is_dir() else path.parent)

    def make(self) -> None:
        """Make the folder; `UserError` where it cannot be, or holds files that a run would write over."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(
                f"Cannot make the run folder {str(self.path)[:200]!r}: {reason}. Choose another."
            ) from error
        own = {path.name for path in vars(self).values() if isinstance(path, Path)}
        found = sorted(path.name for path in self.path.iterdir() if path.name in own or is_checkpoint(path))
        if found and not self._never_began(found):
            raise UserError(
                f"{self.path} holds {', '.join(found[:3])}, of another run or of yours: choose another folder "
                f"(run_dir), or move them away."
            )

    def _never_began(self, found: list[str]) -> bool:
        """Whether these are what a run leaves that died while it wrote down its data, before there was a run."""
        first = {path.name for path in (self.data, self.samples, self.pictures, self.doubles)}
        return (self.path / LOCK).exists() and set(found) <= first

    def paused_model(self, epoch: int, steps: int) -> Path:
        """The training state within an epoch, counted from 0, after so many steps of it."""
        return self.path / f"paused-{epoch:04d}-{steps}.keras"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """Finished epochs and the training state after them, the newest first."""
        found = [path for path in self.path.glob("checkpoint-*.keras") if is_checkpoint(path)]
        return sorted(((int(path.stem.split("-")[1]), path) for path in found), reverse=True)

    def checkpoint(self) -> tuple[int, Path | None]:
        """Finished epochs and the training state after them: the newest that is whole.

        Raises:
            DamagedFileError: None of those that are there is.
        """
        found = self.checkpoints()
        if self.last.exists() or (not found and self.metrics.exists()):
            return len(self.read_history()), self.manifest.check(self.last)
        for epochs, path in found:
            complaint = self.state_complaint(path)
            if complaint is None:
                return epochs, path
            print(f"{complaint.split(':')[0]}: the checkpoint before it is taken.", flush=True)
        epochs = found[0][0] if found else len(self.read_history())
        if epochs > 1 or found:  # the first may not have been written yet
            names = ", ".join(path.name for _, path in found) or f"checkpoint-{epochs:04d}.keras"
            raise DamagedFileError(
                f"There is no whole training state in {self.path} after its {epochs} epochs ({names} damaged or "
                f"missing): bring one back from a copy, or train anew in another folder."
            )
        return 0, None

    def state_complaint(self, path: Path) -> str | None:
        """What is wrong with a training state, by the manifest and, as not every run has one, by its own checksums."""
        return self.manifest.complaint(path) or _of_archive(path)

    def best_lost_after(self) -> int:
        """After how many epochs `best.keras` was lost, so that it is of a later one; 0 where it never was."""
        if not self.manifest.check_if_noted(self.best_lost):
            return 0
        epochs = self.read_json(self.best_lost).get("epochs")
        if not isinstance(epochs, int) or epochs < 1:
            raise _damaged(self.best_lost, f"expected a number of epochs, received {epochs!r}")
        return epochs

    def read_history(self, epochs: int | None = None) -> list[dict[str, str]]:
        """The rows of the first `epochs` epochs, or all."""
        return read_history(self.manifest.check(self.history), epochs)

    def read_json(self, path: Path) -> dict[str, Any]:
        """A file of the run that holds an object."""
        try:
            content = json.loads(self.manifest.check(path).read_text(encoding="utf-8"))
        except ValueError as error:
            if isinstance(error, UserError):
                raise
            raise _damaged(path, f"it is no JSON ({str(error).splitlines()[0]})") from error
        if not isinstance(content, dict):
            raise _damaged(path, f"expected an object, received {type(content).__name__}")
        return content

    def read_arrays(self, path: Path, *names: str) -> dict[str, np.ndarray]:
        """The arrays of an `.npz` file of the run, those of these names among them."""
        self.manifest.check(path)
        try:
            with np.load(path, allow_pickle=False) as stored:  # pickles could do anything
                arrays = {name: stored[name] for name in stored.files}
        except FileNotFoundError:
            raise DamagedFileError(f"{path} is missing: resume the run, which writes it at its end.") from None
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, *OF_ARCHIVES) as error:
            raise _damaged(path, "it is no file of plain arrays") from error
        missing = [name for name in names if name not in arrays]
        if missing:
            raise _damaged(path, f"it has no {missing[0]}")
        return arrays


def is_checkpoint(path: Path) -> bool:
    """Whether a file has the name of a run's own checkpoint."""
    return re.fullmatch(r"checkpoint-\d+\.keras", path.name) is not None


def _of_archive(path: Path) -> str | None:
    """What is wrong with a model's archive by its own checksums, which runs without a manifest have too."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except (OSError, ValueError, EOFError, *OF_ARCHIVES) as error:
        return f"{path} is damaged: {error}"
    return None if bad is None else f"{path} is damaged: {bad} is not what was written"


def _damaged(path: Path, what: str) -> DamagedFileError:
    return DamagedFileError(
        f"{path} is damaged or was altered: {what}. Bring it back from a copy, or train anew in another folder."
    )
