"""What processes share on a machine: its CPU cores, which may not all be theirs, and its memory."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence

from keras_gssl.errors import UserError


def usable_cores() -> list[int]:
    """Their numbers: schedulers of clusters, cores set for a container and `taskset` leave a process some of them.

    >>> from keras_gssl.sharing import usable_cores
    >>> len(usable_cores()) >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 2))


def shares_of(cores: Sequence[int], parts: int) -> list[list[int]]:
    """As many parts, as equal as can be; where there are more parts than cores, several have the same one.

    >>> from keras_gssl.sharing import shares_of
    >>> shares_of([0, 1, 2, 3, 4], 2), shares_of([0, 1], 3)
    ([[0, 1], [2, 3, 4]], [[0], [1], [0]])
    """
    if parts > len(cores):
        return [[cores[part % len(cores)]] for part in range(parts)]
    bounds = [part * len(cores) // parts for part in range(parts + 1)]
    return [list(cores[begin:end]) for begin, end in itertools.pairwise(bounds)]


RUNS_AT_ONCE = "KERAS_GSSL_RUNS_AT_ONCE"


def runs_at_once() -> int:
    """How many runs share the machine's memory, this one among them: whoever begins several says so in the environment.

    Raises:
        UserError: The environment says something else.
    """
    given = os.environ.get(RUNS_AT_ONCE, "1")
    if not given.isdecimal() or not int(given):
        raise UserError(
            f"{RUNS_AT_ONCE} in the environment must be a whole number from 1 or absent, received {given!r}."
        )
    return int(given)


@contextlib.contextmanager
def held_to(cores: Sequence[int], runs: int = 1) -> Iterator[dict[str, str]]:
    """Processes that are begun within the context, by the same thread, keep to these cores; without any, to all.

    Args:
        cores: Their numbers. Where the system cannot hold a process to them, as only Linux can, the number of its
            threads must do.
        runs: How many of such processes share the machine's memory.

    Yields:
        The environment that they need: TensorFlow reads it before its first operation.
    """
    environment = {**os.environ, RUNS_AT_ONCE: str(runs * runs_at_once())}
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS") if cores else ():
        environment[threads] = str(len(cores))
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield environment
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield environment
    finally:
        os.sched_setaffinity(0, before)
