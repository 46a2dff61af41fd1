"""Epochs at which something happens, in runs of other lengths."""

from __future__ import annotations

from collections.abc import Sequence


def scale_milestones(milestones: Sequence[int], epochs: int, full_epochs: int) -> tuple[int, ...]:
    """Milestones of a run of `full_epochs`, moved in proportion for a shorter one; a longer one keeps them.

    Example:

    >>> gssl.callbacks.scale_milestones((160, 180), epochs=20, full_epochs=200)
    (16, 18)
    """
    if epochs >= full_epochs:
        return tuple(milestones)
    return tuple(round(milestone * epochs / full_epochs) for milestone in milestones)
