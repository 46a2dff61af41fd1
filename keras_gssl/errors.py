"""Mistakes that the person at the command line can mend; shown as one line, with exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user gave cannot be used. The message says what it was, what was expected and how to mend it."""

    #: What a command ends with.
    exit_code = 2


def as_command(work: Callable[[], None]) -> int:
    """Run a command's work; a mistake of the user's, or a place that cannot be written to, becomes one line.

    Returns:
        The exit code.
    """
    try:
        work()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return UserError.exit_code
    return 0
