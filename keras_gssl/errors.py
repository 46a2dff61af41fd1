"""Mistakes that the user can mend, and the one place where a command turns them into a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from keras_gssl.interrupts import Terminated, raising_for_sigterm

INTERRUPTED, TERMINATED = 130, 143  # what a shell expects of a command that was ended by SIGINT or by SIGTERM


def one_line(text: str) -> str:
    """Text without line breaks, escape codes and other signs that do something to a terminal: they are spelled out.

    Example:

    >>> print(gssl.errors.one_line("a\\nb\\x1b[31m"))
    a\\nb\\x1b[31m
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


class UserError(ValueError):
    """Something the user gave cannot be used. The message says what it was, what was expected and how to mend it."""

    #: What a command ends with.
    exit_code = 2

    def __str__(self) -> str:
        return one_line(super().__str__())  # it quotes what people's files hold


class DivergedError(UserError, FloatingPointError):
    """The loss is no number any more; the message says since when, and what most often is the cause."""

    exit_code = 1


class StorageError(UserError):
    """What a run wants to keep cannot be written; the message says where, and how to go on."""

    exit_code = 1


class DataNotFoundError(UserError, FileNotFoundError):
    """A data set is neither on this machine nor can it be downloaded; the message says how to mend it."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """How many there are, in words that fit: `several` is by default `one` with an s.

    >>> from keras_gssl.errors import counted
    >>> counted(1, "class has", "classes have"), counted(1200, "picture")
    ('1 class has', '1,200 pictures')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def as_command(work: Callable[[], Any], when_interrupted: str = "") -> int:
    """Run a command's work; the user's mistakes, and files that cannot be read or written, become one line on stderr.

    Args:
        work: Called once. If it returns an integer, that is the exit code.
        when_interrupted: Said, after "interrupted", when the user stops the command.

    Returns:
        The exit code.
    """
    try:
        with raising_for_sigterm():
            code = work()
    except UserError as error:
        return complain(error)
    except BrokenPipeError:  # whoever read the output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        print(f"error: {f'{error.filename}: ' if error.filename else ''}{reason}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt as error:
        terminated = isinstance(error, Terminated)
        print(
            ("terminated" if terminated else "interrupted") + (f"; {when_interrupted}" if when_interrupted else ""),
            file=sys.stderr,
        )
        return TERMINATED if terminated else INTERRUPTED
    return code if isinstance(code, int) else 0


def complain(error: UserError) -> int:
    """Print the mistake as a line on stderr; returns the exit code that goes with it."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
