"""Downloads: one at a time on a machine, and one line where there is no network."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_gssl.errors import UserError

PATIENCE_SECONDS = 15.0  # without an answer from the network


@contextlib.contextmanager
def fetching(what: str, instead: str) -> Iterator[None]:
    """Around a download: no answer for some seconds, or no network, is one line that says what to do instead."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        with one_at_a_time():
            yield
    except UserError:
        raise
    except Exception as error:  # each library wraps what urllib says in errors of its own
        reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise UserError(f"{what} cannot be fetched ({reason}). {instead}") from error
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Wait until no other process of this user is within such a context: several runs that are begun at once want the
    same files, and one would find half of what another writes. What there is, is to be looked at within it.

    The operating system lets the next one in when a process ends, however that is.
    """
    import fcntl

    handle = os.open(_lock_file(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another process is downloading: waiting for it.", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # not by closing alone: a process forked meanwhile has it, too
        os.close(handle)


def _lock_file() -> Path:
    return Path(tempfile.gettempdir()) / f"keras_gssl-{os.getuid()}-downloads.lock"
