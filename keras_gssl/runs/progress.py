"""What a person sees while a model trains."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from keras_gssl.backend import keras
from keras_gssl.runs.durations import duration

SHOWN = ("loss", "accuracy")
REFRESH_SECONDS = 0.5


class EpochReport(keras.callbacks.Callback):
    """One line per epoch: loss, accuracy, and how long the rest of the run will take; on a terminal a bar before it.

    Keras' own bar shows every metric, which with a few pretext tasks is three lines wide. Use with `fit(verbose=0)`.

    Args:
        every: Report every so many epochs, and the last. The bar is drawn with 1 only.
        chosen_on: What the epoch is evaluated on, `"test"` or `"validation"`.
    """

    def __init__(self, every: int = 1, chosen_on: str = "test"):
        super().__init__()
        self.every, self.chosen_on = every, chosen_on
        self._bar: keras.utils.Progbar | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self._start, self._done = time.monotonic(), 0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.every == 1 and sys.stdout.isatty():
            self._bar, self._drawn = keras.utils.Progbar(self.params["steps"], stateful_metrics=SHOWN), time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # Reading a metric waits for the device, so it is done twice a second, not at every step.
        if self._bar and time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._drawn = time.monotonic()
            self._bar.update(batch + 1, [(name, float(logs[name])) for name in SHOWN], finalize=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._done += 1
        if self._bar:
            print("\r\x1b[K", end="")  # the line below replaces the bar
        number, epochs = epoch + 1, self.params["epochs"]
        if number % self.every and number < epochs:
            return
        line = (
            f"   epoch {number:>{len(str(epochs))}}/{epochs}  loss {logs['loss']:.3f}  accuracy {logs['accuracy']:.3f}"
        )
        line += f"  {self.chosen_on} accuracy {logs['val_accuracy']:.3f}" if "val_accuracy" in logs else ""
        if number < epochs:
            line += f"  about {duration((time.monotonic() - self._start) / self._done * (epochs - number))} left"
        print(line, flush=True)


class EpochCurves(keras.callbacks.TensorBoard):
    """TensorBoard's curves, a point an epoch.

    Keras' own makes a summary of every figure after every step, too, and with `update_freq="epoch"` throws it away:
    some milliseconds, which is much for small networks.
    """

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        pass
