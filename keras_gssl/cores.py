"""The CPU cores that a process may use, which on a shared machine are not all that there are."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence


def usable_cores() -> list[int]:
    """Their numbers: schedulers of clusters, cores set for a container and `taskset` leave a process some of them.

    >>> from keras_gssl.cores import usable_cores
    >>> len(usable_cores()) >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 2))


def shares_of(cores: Sequence[int], parts: int) -> list[list[int]]:
    """As many parts, as equal as can be; where there are more parts than cores, several have the same one.

    >>> from keras_gssl.cores import shares_of
    >>> shares_of([0, 1, 2, 3, 4], 2), shares_of([0, 1], 3)
    ([[0, 1], [2, 3, 4]], [[0], [1], [0]])
    """
    if parts > len(cores):
        return [[cores[part % len(cores)]] for part in range(parts)]
    bounds = [part * len(cores) // parts for part in range(parts + 1)]
    return [list(cores[begin:end]) for begin, end in itertools.pairwise(bounds)]


def threads_for(cores: Sequence[int]) -> dict[str, str]:
    """Environment of a process that computes on these cores alone, without any on what it finds: TensorFlow reads it
    before its first operation."""
    if not cores:
        return {}
    return {"TF_NUM_INTRAOP_THREADS": str(len(cores)), "TF_NUM_INTEROP_THREADS": str(len(cores))}


@contextlib.contextmanager
def holding_to(cores: Sequence[int]) -> Iterator[None]:
    """Processes that are begun within the context, by the same thread, keep to these cores; without any, to all.

    Where the system cannot, as only Linux can, the number of their threads must do.
    """
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
