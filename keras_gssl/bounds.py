"""Which numbers an argument or a setting may be, and the one line that says so where it is another."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

LARGEST = 1e6  # of a float: beyond it no rate, weight or scale is meant
LARGEST_WHOLE = 2**31 - 1  # what TensorFlow counts with in places
LARGEST_SEED = 2**32 - 1  # what NumPy's generators take


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The numbers that are allowed: finite ones, whole ones where `whole`, and those within the bounds.

    Attributes:
        least: The smallest that is allowed.
        above: Every one that is allowed is larger.
        most: The largest that is allowed; by default far beyond what can be meant.
        below: Every one that is allowed is smaller.
        whole: Only whole numbers.

    Example:

    >>> from keras_gssl.bounds import Bounds
    >>> Bounds(least=0, below=1).check("momentum", 0.9)
    0.9
    >>> Bounds(least=0, below=1).check("momentum", 1.5)
    Traceback (most recent call last):
    ValueError: momentum must be at least 0 and below 1, received 1.5.
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    whole: bool = False

    def check(self, name: str, value: Any) -> Any:
        """The value, or `ValueError` in one line that begins with `name`."""
        complaint = self.complaint(value)
        if complaint is not None:
            raise ValueError(f"{name} {complaint}.")
        return value

    def complaint(self, value: Any) -> str | None:
        """What is wrong with a value, or None."""
        is_one = isinstance(value, numbers.Integral if self.whole else numbers.Real)
        is_whole = isinstance(value, numbers.Integral)  # however large, where a float would overflow
        if not is_one or isinstance(value, bool) or not (is_whole or math.isfinite(value)):
            return f"must be a {'whole' if self.whole else 'finite'} number, received {_shown(value)}"
        largest = LARGEST_WHOLE if self.whole else LARGEST
        most = largest if self.most is None and self.below is None else self.most
        fits = (
            (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (most is None or value <= most)
            and (self.below is None or value < self.below)
        )
        told = self if self.most is not None or value <= largest else dataclasses.replace(self, most=largest)
        return None if fits else f"must be {told}, received {_shown(value)}"

    def __str__(self) -> str:
        named = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{word} {bound:.10g}" for word, bound in named.items() if bound is not None)


def _shown(value: Any) -> str:
    """A value in a message, however long it is."""
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


NOT_NEGATIVE = Bounds(least=0)
ABOVE_ZERO = Bounds(above=0)
FACTOR = Bounds(above=0, most=1)
SHARE = Bounds(least=0, most=1)
BELOW_ONE = Bounds(least=0, below=1)
COUNT = Bounds(least=1, whole=True)
WHOLE = Bounds(least=0, whole=True)
SEED = Bounds(least=0, most=LARGEST_SEED, whole=True)
