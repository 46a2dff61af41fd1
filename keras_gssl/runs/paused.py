"""A training that was asked to stop within an epoch goes on at the step after, as if it had not stopped."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.backend import keras
from keras_gssl.interrupts import StopAsked
from keras_gssl.runs.checkpoints import save_model, saying_what_is_kept
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.manifest import DamagedFileError


@dataclasses.dataclass(frozen=True)
class Paused:
    """Where a training stopped.

    Attributes:
        path: The model, with its optimizer.
        epoch: Epoch, counted from 0, that was being trained.
        steps: Steps of it that were taken; all of them where it was being evaluated.
        seconds: What the epoch took so far.
        metrics: Values of the training metrics' variables.
    """

    path: Path
    epoch: int
    steps: int
    seconds: float = 0.0
    metrics: tuple[np.ndarray, ...] = ()


def read_paused(folder: RunFolder, finished: int) -> Paused | None:
    """Where the training stopped after `finished` epochs; None where an epoch ended since, or it cannot be read."""
    if not folder.paused.exists():
        return None
    try:
        kept = folder.read_arrays(folder.paused, "epoch", "steps", "seconds")
        epoch, steps = int(kept["epoch"]), int(kept["steps"])
        path = folder.paused_model(epoch, steps)
        if epoch != finished:
            return None
        complaint = folder.state_complaint(path)
    except DamagedFileError as error:
        complaint = str(error)
    if complaint is not None:
        print(f"{complaint.split(':')[0]}: the run goes on from its last finished epoch.", flush=True)
        return None
    metrics = tuple(kept[f"metric_{number}"] for number in range(len(kept) - 3))
    return Paused(path, epoch, steps, float(kept["seconds"]), metrics)


class PauseWhenAsked(keras.callbacks.Callback):
    """Once a signal has come, finishes the step, saves what is needed to go on from it, and ends the training.

    Args:
        asked: Whether a signal has come.
        folder: Of the run.
        timer: Knows how long the epoch has taken.
        before: Where the training had stopped before, if this is one that goes on.
    """

    def __init__(self, asked: StopAsked, folder: RunFolder, timer: EpochTimer, before: Paused | None = None):
        super().__init__()
        self.asked, self.folder, self.timer, self.before = asked, folder, timer, before
        self._metrics: tuple[np.ndarray, ...] | None = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._steps = epoch, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._steps += self.model.steps_per_execution  # `batch` is the first or the last of them, by Keras' version
        self._obey()

    def on_test_begin(self, logs: Any = None) -> None:
        self._metrics = _values(self.model)  # the evaluation begins them anew

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._obey()

    def on_test_end(self, logs: Any = None) -> None:
        self._metrics = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.asked.obey()  # the epoch's state has been written

    def _obey(self) -> None:
        if self.asked.signal is not None and not self._is_passed_over():
            self._save()
        self.asked.obey()

    def _save(self) -> None:
        path = self.folder.paused_model(self._epoch, self._steps)
        metrics = _values(self.model) if self._metrics is None else self._metrics
        kept: dict[str, Any] = {"epoch": self._epoch, "steps": self._steps, "seconds": self.timer.seconds}
        kept |= {f"metric_{number}": value for number, value in enumerate(metrics)}
        with saying_what_is_kept(self.folder):
            save_model(self.model, self.folder, path)
            with self.folder.manifest.replacing(self.folder.paused) as partial, partial.open("wb") as file:
                np.savez(file, **kept)
            for older in self.folder.path.glob("paused-*.keras"):
                if older != path:
                    older.unlink(missing_ok=True)
        print(f"Stopped after step {self._steps} of epoch {self._epoch + 1}.", flush=True)

    def _is_passed_over(self) -> bool:
        """Whether the state that the training began with, which is kept, is not reached yet."""
        before = self.before
        return before is not None and self._epoch == before.epoch and self._steps < before.steps


class EpochTimer(keras.callbacks.Callback):
    """Adds the epoch's seconds, evaluation included, to the logs.

    Args:
        before: What the first epoch had taken when the training stopped within it.
    """

    def __init__(self, before: float = 0.0):
        super().__init__()
        self._before = before

    @property
    def seconds(self) -> float:
        """What the epoch has taken so far."""
        return time.monotonic() - self._start

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start, self._before = time.monotonic() - self._before, 0.0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["seconds"] = self.seconds


class GoOnWithinEpoch(keras.callbacks.Callback):
    """Makes Keras pass over the steps of its first epoch that were taken before the training stopped.

    The steps that are passed over take no batch: the dataset begins with the first of the others. To be the last of the
    callbacks, as it undoes what others do to the model at the beginning of an epoch, which they did before.

    Args:
        paused: Where the training stopped.
    """

    def __init__(self, paused: Paused):
        super().__init__()
        self.paused = paused

    def on_train_begin(self, logs: Any = None) -> None:
        self._kept: list[np.ndarray] | None = [keras.ops.convert_to_numpy(each) for each in self._variables()]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._kept is None:
            return
        for variable, value in zip(self._variables(), self._kept, strict=True):
            variable.assign(value)
        self._kept = None
        for variable, value in zip(_metric_variables(self.model), self.paused.metrics, strict=True):
            variable.assign(value)
        step = self.model.train_function
        passed = 0

        def passing_over(iterator: Any) -> Any:
            nonlocal passed
            if passed < self.paused.steps:
                passed += self.model.steps_per_execution
                return self.model.get_metrics_result()
            self.model.train_function = step
            return step(iterator)

        self.model.train_function = passing_over

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]


def _metric_variables(model: keras.Model) -> list[Any]:
    return [variable for metric in model.metrics for variable in metric.variables]


def _values(model: keras.Model) -> tuple[np.ndarray, ...]:
    return tuple(keras.ops.convert_to_numpy(variable) for variable in _metric_variables(model))
