"""Does a long run stay as it began? Memory, open files, time per epoch and size of what it writes, by parts of the run.

`python -m tests.long_run 5000` trains so many epochs of a tiny run and prints a line for each tenth.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import keras_gssl as gssl
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train


def resident():
    """Memory of this process that is in use, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Meter(keras.callbacks.Callback):
    """Notes memory, open files and time at the end of every epoch."""

    def __init__(self):
        super().__init__()
        self.rows = []
        self.before = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        now = time.monotonic()
        self.rows.append((resident(), len(os.listdir("/proc/self/fd")), now - self.before))
        self.before = now


def main(epochs):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [20, 12, 8])
    images = random.integers(0, 256, (40, 16, 16, 3)).astype("uint8")
    data = gssl.data.from_arrays(images, labels, images, labels)
    settings = TrainingSettings(**METHODS["ce"], backbone="resnet8", epochs=epochs, batch_size=20, validation_freq=10)
    meter = Meter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch) / "run")
        train(settings, data, folder, report_every=epochs, callbacks=[meter])
        tensorboard = sum(path.stat().st_size for path in folder.tensorboard.rglob("*") if path.is_file())
        history = folder.history.stat().st_size
    print("epochs          memory, MiB   open files   seconds per epoch (median)")
    step = max(1, epochs // 10)
    for start in range(0, epochs, step):
        memory, files, seconds = zip(*meter.rows[start : start + step], strict=True)
        print(
            f"{start + 1:>6} to {min(start + step, epochs):<6} {statistics.median(memory):>9.1f} {max(files):>12} "
            f"{statistics.median(seconds):>14.3f}"
        )
    print(f"history.csv {history / epochs:.0f} bytes per epoch, TensorBoard {tensorboard / epochs:.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
