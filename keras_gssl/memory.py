"""Memory that the process has freed, and the C library keeps."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Give freed memory back to the operating system, where the C library can (glibc's `malloc_trim`).

    Saving a model allocates and frees buffers of many sizes; what stays between them adds up over thousands of epochs.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):  # another system or another C library
        return None
