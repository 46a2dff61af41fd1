"""One process at a time on a run's folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from keras_gssl.errors import UserError

NAME = "run.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the operating system gives it free when the process ends, however that is.

    Raises:
        UserError: Another process holds it, or nothing can be written there.
    """
    import fcntl

    path = folder / NAME
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"Nothing can be written into {folder} ({error.strerror}): choose another folder (run_dir), or "
            f"mend its rights."
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 100).decode("ascii", "replace").strip() or "another process"
            raise UserError(
                f"{folder} is being trained in by {holder}: wait for it, stop it, or choose another folder (run_dir)."
            ) from error
        with contextlib.suppress(OSError):  # a full disk has room for no number, and needs none
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()}\n".encode())
        yield
    finally:
        os.close(handle)
