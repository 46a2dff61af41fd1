"""Stopping a training in good order: the step is finished, then it ends; asked a second time, it ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as by `kill`, a cluster's scheduler or a container's engine."""


class StopAsked:
    """Whether one of the signals has come, and which."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def obey(self) -> None:
        """Raise `KeyboardInterrupt`, or `Terminated`, where a signal has come."""
        if self.signal is not None:
            raise error_for(self.signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number


def error_for(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


@contextlib.contextmanager
def noting_signals() -> Iterator[StopAsked]:
    """Within the context SIGINT and SIGTERM are noted; a second one ends the process at once.

    Only Python's main thread can have handlers: elsewhere, as in a worker of Ray, signals do what they did.
    """
    asked = StopAsked()
    with _handling(asked._note):
        yield asked


@contextlib.contextmanager
def raising_for_sigterm() -> Iterator[None]:
    """Within the context SIGTERM raises `Terminated`, as SIGINT raises `KeyboardInterrupt`."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise error_for(number)

    with _handling(give_up, (signal.SIGTERM,)):
        yield


@contextlib.contextmanager
def _handling(handler: Any, signals: tuple[signal.Signals, ...] = SIGNALS) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
