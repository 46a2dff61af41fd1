"""How exact accuracies are that were measured on so many images."""

from __future__ import annotations

import numpy as np

LEVEL = 0.95
DRAWS = 4000


def bootstrap_intervals(
    hits: np.ndarray, tested: np.ndarray, level: float = LEVEL, seed: int = 0
) -> dict[str, list[float]]:
    """Intervals of accuracy and balanced accuracy, by drawing each class' test images again with replacement.

    Args:
        hits: Recognised images of each class, shape `(classes,)`.
        tested: Test images of each class.
        level: Share of the draws that lie within.
        seed: Of the draws.

    Returns:
        `accuracy` and `balanced_accuracy`, each `[low, high]` as fractions of 1.

    Reference:
        "An Introduction to the Bootstrap" (Efron and Tibshirani, 1993), chapter 13: the percentile interval.
    """
    known = tested > 0
    hits, tested = hits[known], tested[known]
    # Drawing n images again of which a share p is right gives a binomial number of right ones.
    drawn = np.random.default_rng(seed).binomial(tested, hits / tested, (DRAWS, len(tested)))
    figures = {"accuracy": drawn.sum(axis=1) / tested.sum(), "balanced_accuracy": (drawn / tested).mean(axis=1)}
    tails = [(1 - level) / 2, (1 + level) / 2]
    return {name: np.quantile(values, tails).tolist() for name, values in figures.items()}


def wilson_interval(hits: int, tested: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of one class' accuracy: drawing again would call three right ones of three certain.

    Reference:
        E. B. Wilson, "Probable Inference" (JASA 22, 1927).
    """
    from scipy.stats import binomtest

    interval = binomtest(int(hits), int(tested)).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
