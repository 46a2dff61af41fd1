"""What is written while a run goes on, so that a killed one can go on where it was."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from keras_gssl.backend import keras, save, tf
from keras_gssl.errors import StorageError, UserError
from keras_gssl.files import remove, write_json
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.history import History
from keras_gssl.runs.manifest import DamagedFileError

_Row = TypeVar("_Row", bound=Mapping[str, Any])

KEPT = 2  # checkpoints: should the last one turn out to be damaged, the one before it is there


class EpochWriter(keras.callbacks.Callback):
    """After every epoch: history row, best model, training state; a kill loses one epoch at most.

    The state's file name carries the number of finished epochs, and files appear by renaming only: whatever moment the
    process dies at, history and state can be brought to the same epoch.
    """

    def __init__(self, folder: RunFolder, finished_epochs: int):
        super().__init__()
        self.folder = folder
        rows = folder.read_history(finished_epochs)
        if len(rows) < finished_epochs:
            raise DamagedFileError(
                f"{folder.history} has {len(rows)} epochs, the training state is after {finished_epochs}: bring the "
                f"file back from a copy, or train anew in another folder."
            )
        self.history = History(folder.history, folder.manifest, rows)
        self.best, lost = best_so_far(folder, rows)
        self._lost_after = finished_epochs if lost else 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        row = {"epoch": epoch, **{name: float(value) for name, value in (logs or {}).items()}}
        with saying_what_is_kept(self.folder):
            self.history.append(row)
            figure = deciding(row)
            if figure is not None and figure > self.best:
                self.best = figure
                self._save_best()
            written = self.folder.path / f"checkpoint-{epoch + 1:04d}.keras"
            save_model(self.model, self.folder, written)
            self.folder.manifest.check(written)  # as it is on the disk, before an older one goes
            remove_old_checkpoints(self.folder, KEPT)

    def _save_best(self) -> None:
        if self._lost_after:  # noted no sooner than there is another: until then the old one may be brought back
            with self.folder.manifest.replacing(self.folder.best_lost) as partial:
                write_json(partial, {"epochs": self._lost_after})
            self._lost_after = 0
        save_model(self.model, self.folder, self.folder.best)


def best_so_far(folder: RunFolder, rows: Sequence[Mapping[str, Any]]) -> tuple[float, bool]:
    """What an epoch must exceed to become `best.keras`, and whether that file is lost.

    Any of the epochs still to come takes the place of one that is missing or damaged. It is said before they are
    trained: a run of hours must not end in an error about it.
    """
    figures = [figure for row in rows_of_best(folder, rows) if (figure := deciding(row)) is not None]
    if not figures:  # none was evaluated; or after a loss none that counts
        return -1.0, folder.best_lost_after() > 0
    complaint = folder.manifest.complaint(folder.best)
    if complaint is None and folder.best.exists():
        return max(figures), False
    what = "is missing" if complaint is None else complaint.removeprefix(f"{folder.best} ").split(":")[0]
    print(
        f"{folder.best} {what}; it was of an epoch with {max(figures):.2%}. The best of the epochs still to come takes "
        f"its place."
    )
    return -1.0, True


def rows_of_best(folder: RunFolder, rows: Sequence[_Row]) -> Sequence[_Row]:
    """The epochs that `best.keras` is chosen from: all of them, or those after it was lost."""
    return rows[folder.best_lost_after() :]


def deciding(row: Mapping[str, Any]) -> float | None:
    """The figure of an epoch that says how good it is: on validation images, which have the long tail of the training,
    the balanced accuracy, else the accuracy; None where the epoch was not evaluated."""
    values = (row.get(name) for name in ("val_balanced_accuracy", "val_accuracy"))
    return next((float(value) for value in values if value not in (None, "")), None)


def save_model(model: keras.Model, folder: RunFolder, path: Path) -> None:
    """Save so that `path` is either the old file or the whole new one."""
    with folder.manifest.replacing(path) as partial:
        save(model, partial)


def load_model(folder: RunFolder, path: Path) -> keras.Model:
    """A model of a run as it was saved, in Keras' safe mode: nothing in the file is executed.

    Whether it is compiled with XLA is decided anew: a run begun on a GPU may go on on a CPU, or the reverse.
    """
    folder.manifest.check(path)
    try:
        model = keras.models.load_model(path)
    except Exception as error:  # damaged archives raise errors of a dozen kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise DamagedFileError(
            f"{path} is not a model that Keras can load ({reason}). Bring it back from a copy, or train anew in "
            f"another folder."
        ) from error
    model.jit_compile = None  # Keras then decides when it is first asked
    return model


@contextlib.contextmanager
def saying_what_is_kept(folder: RunFolder) -> Iterator[None]:
    """Around writing: a disk that is full, or a folder that is gone, is one line that says what is still there."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # HDF5, zip files and TensorFlow each have errors of their own for a full disk
        if not _is_of_the_disk(error, folder):
            raise
        raise StorageError(
            f"Cannot write into {folder.path} ({_reason(error)}). What is finished is kept: make room or mend the "
            f"folder, then resume the run."
        ) from error


def remove_old_checkpoints(folder: RunFolder, kept: int) -> None:
    """Remove all checkpoints but the newest, a state within an epoch, and what a killed process left half written."""
    older = [path for _, path in folder.checkpoints()[kept:]]
    for path in (*older, folder.paused, *folder.path.glob("paused-*.keras")):
        path.unlink(missing_ok=True)
    for path in folder.path.glob("partial-*"):
        remove(path)


def finish(folder: RunFolder) -> None:
    """The last checkpoint becomes `last.keras`. A run without evaluated epochs has no better one to call best."""
    _, checkpoint = folder.checkpoint()
    if checkpoint is None:
        return
    with saying_what_is_kept(folder):
        if any(deciding(row) is not None for row in folder.read_history()):
            folder.manifest.check(folder.best)
        elif not folder.best.exists():
            with folder.manifest.replacing(folder.best) as partial:
                shutil.copy(checkpoint, partial)
        if checkpoint != folder.last:
            folder.manifest.rename(checkpoint, folder.last)
        remove_old_checkpoints(folder, 0)


OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
SIGNS = ("no space left", "errno = 28", "disk quota", "read-only file system", "can't write data", "unable to flush")


def _is_of_the_disk(error: BaseException | None, folder: RunFolder) -> bool:
    """Whether an error, or what it came from, is one of the file system's about the run's folder."""
    while error is not None:
        text = str(error)
        if getattr(error, "errno", None) in OF_DISKS or any(sign in text.lower() for sign in SIGNS):
            return True
        if isinstance(error, (OSError, tf.errors.OpError)) and str(folder.path) in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: BaseException) -> str:
    text = str(error)
    if any(sign in text.lower() for sign in ("space left", "errno = 28")):
        return "no space left"
    return (getattr(error, "strerror", None) or (text.strip().splitlines() or [type(error).__name__])[0])[:200]
