"""What can be said of differences between methods that were run with the same seeds or folds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

LEVEL = 0.95
POWER = 0.8
MOST_PAIRS = 1000


@dataclasses.dataclass(frozen=True)
class Difference:
    """One method over another, from pairs of runs with the same seed and fold.

    Attributes:
        mean: Mean of the differences.
        low, high: Interval that holds the true difference in 95 % of such comparisons; infinite from one pair.
        pairs: How many.
        spread: Standard deviation of the differences.
    """

    mean: float
    low: float
    high: float
    pairs: int
    spread: float

    @property
    def certain(self) -> bool:
        """Whether it is more than noise."""
        return self.low > 0 or self.high < 0


def paired_difference(
    one: Sequence[float], other: Sequence[float], overlap: float = 0.0, comparisons: int = 1
) -> Difference:
    """The difference of two methods over the same seeds or folds.

    Args:
        one, other: A figure of each run, in the same order.
        overlap: Test over training pictures where the runs are folds of one data set: their training pictures are
            partly the same, so their differences vary less than new pictures would make them.
        comparisons: How many intervals are looked at together; each is widened so that all hold in 95 % of the cases.

    Reference:
        Nadeau and Bengio, "Inference for the Generalization Error" (Machine Learning 52, 2003), the corrected t-test;
        Bonferroni's correction.
    """
    differences = np.asarray(one, "float64") - np.asarray(other, "float64")
    count, mean = len(differences), float(differences.mean())
    if count < 2:
        return Difference(mean, -math.inf, math.inf, count, math.nan)
    spread = float(differences.std(ddof=1))
    reach = _quantile(count, comparisons) * spread * math.sqrt(1 / count + overlap)
    return Difference(mean, mean - reach, mean + reach, count, spread)


def pairs_needed(difference: Difference, overlap: float = 0.0, comparisons: int = 1) -> int | None:
    """How many pairs would show a difference of this size in four of five comparisons; None if more than 1,000."""
    if difference.pairs < 2 or not difference.mean:
        return None
    for count in range(2, MOST_PAIRS + 1):
        noise = difference.spread * math.sqrt(1 / count + overlap)
        # The approximation of a t-test's power by a shifted t distribution.
        if abs(difference.mean) >= noise * (_quantile(count, comparisons) + stats.t.ppf(POWER, count - 1)):
            return count
    return None


def verdict(figures: Mapping[str, Sequence[float]], what: str, unit: str, overlap: float = 0.0) -> str:
    """One sentence: which method is best, or that the differences are noise, and what would tell.

    Args:
        figures: For each method a figure of each run, as fractions of 1, the runs in the same order.
        what: Name of the figure.
        unit: What a pair is, in the plural: `"seeds"` or `"folds"`.
        overlap: See `paired_difference`.
    """
    ordered = sorted(figures, key=lambda name: -float(np.mean(figures[name])))
    best, others = ordered[0], ordered[1:]
    count = len(figures[best])
    if not others:
        return f"{best} alone was run: there is nothing to compare it with."
    if count < 2:
        return (
            f"{best} has the highest {what} ({100 * figures[best][0]:.1f} %), but one run of each says nothing of "
            f"noise: run at least three {unit}."
        )
    against = {name: paired_difference(figures[best], figures[name], overlap, len(others)) for name in others}
    open_ones = [name for name in others if not against[name].certain]
    mean = 100 * float(np.mean(figures[best]))
    if not open_ones:
        margin = against[others[0]]
        return (
            f"{best} is best: {mean:.1f} % {what}, {100 * margin.mean:.1f} points above {others[0]} (95 % interval "
            f"{100 * margin.low:.1f} to {100 * margin.high:.1f}, {count} {unit})."
        )
    closest = open_ones[0]
    needed = pairs_needed(against[closest], overlap, len(others))
    advice = (
        f"about {max(needed - count, 1)} more {unit} would tell a difference of {100 * against[closest].mean:.1f} "
        f"points from {closest}"
        if needed is not None
        else f"no sensible number of {unit} would tell it from {closest}: they are as good as equal"
    )
    beaten = [name for name in others if against[name].certain]
    above = f", certainly above {', '.join(beaten)}" if beaten else ""
    return (
        f"{best} has the highest {what} ({mean:.1f} %){above}; at {count} {unit} its lead over "
        f"{', '.join(open_ones)} is noise; {advice}."
    )


def _quantile(count: int, comparisons: int) -> float:
    return float(stats.t.ppf(1 - (1 - LEVEL) / 2 / comparisons, count - 1))
