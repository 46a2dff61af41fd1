"""How exact accuracies are that were measured on so many images."""

from __future__ import annotations

import math

import numpy as np

LEVEL = 0.95


def accuracy_intervals(hits: np.ndarray, tested: np.ndarray, level: float = LEVEL) -> dict[str, list[float]]:
    """Intervals of accuracy and balanced accuracy, were other test images of each class drawn, as many as these.

    Each is Wilson's interval for as many images as one group would need to be known as exactly as the classes together
    are: a share of 0 or 1 is not certain either, and few images of a class make the balanced accuracy uncertain.

    Args:
        hits: Recognised images of each class, shape `(classes,)`.
        tested: Test images of each class.
        level: How often such intervals hold the truth; with a handful of images of a class less exactly so.

    Returns:
        `accuracy` and `balanced_accuracy`, each `[low, high]` as fractions of 1.

    Reference:
        Wilson's interval with an effective sample size, as for surveys in groups: Franco, Little, Louis and Slud,
        "Comparative Study of Confidence Intervals for Proportions in Complex Sample Surveys" (2019).

    Example:

    >>> from keras_gssl.intervals import accuracy_intervals
    >>> low, high = accuracy_intervals(np.array([90, 5]), np.array([100, 10]))["balanced_accuracy"]
    >>> print(f"{low:.2f} to {high:.2f}")
    0.53 to 0.83
    """
    known = tested > 0
    hits, tested = hits[known], tested[known]
    parts = {"accuracy": tested / tested.sum(), "balanced_accuracy": np.full(len(tested), 1 / len(tested))}
    shares = (hits + 1) / (tested + 2)  # so that a class without a mistake is not taken for one that makes none
    found = {}
    for name, part in parts.items():
        mean = float(part @ shares)
        effective = mean * (1 - mean) / float(part**2 @ (shares * (1 - shares) / tested))
        effective = min(effective, float(tested.sum()))  # the gain from knowing the classes is not to be relied on
        found[name] = list(_wilson(float(part @ (hits / tested)), effective, level))
    return found


def wilson_interval(hits: int, tested: int, level: float = LEVEL) -> tuple[float, float]:
    """Interval of one class' accuracy: drawing again would call three right ones of three certain.

    Reference:
        E. B. Wilson, "Probable Inference" (JASA 22, 1927).
    """
    return _wilson(hits / tested, tested, level)


def _wilson(share: float, count: float, level: float) -> tuple[float, float]:
    from scipy.stats import norm

    z = float(norm.ppf((1 + level) / 2))
    middle, weight = share + z**2 / (2 * count), 1 + z**2 / count
    reach = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # Where nothing or everything is right, rounding must not leave that out.
    return min(share, max(0.0, (middle - reach) / weight)), max(share, min(1.0, (middle + reach) / weight))
