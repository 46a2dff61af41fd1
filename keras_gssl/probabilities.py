"""Probabilities one can trust: temperature, the class mix that is expected in use, and when to abstain."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from keras_gssl.errors import UserError

TEMPERATURES = (0.02, 50.0)
PRECISIONS = tuple(round(0.5 + 0.01 * step, 2) for step in range(50))  # 0.5 to 0.99


@dataclasses.dataclass(frozen=True)
class Adjustment:
    """What is done to logits so that their softmax is a probability in use: `logits / temperature + offsets`.

    Attributes:
        temperature: Above 1 makes the classifier less sure.
        offsets: Added to each class; None for none.

    Example:

    >>> from keras_gssl.probabilities import Adjustment
    >>> Adjustment(temperature=2.0).of(np.array([[2.0, 0.0]]))
    array([[1., 0.]])
    """

    temperature: float = 1.0
    offsets: tuple[float, ...] | None = None

    def of(self, logits: np.ndarray) -> np.ndarray:
        """Adjusted logits, shape `(count, classes)`."""
        return logits / self.temperature + (0.0 if self.offsets is None else np.asarray(self.offsets))


def fit_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The number by which logits are to be divided so that their softmax fits the labels best.

    Args:
        labels: Shape `(count,)`, of images that were not trained on.
        logits: Shape `(count, classes)`.

    Returns:
        The temperature of the least cross-entropy, between 0.02 and 50. Which class is likeliest stays as it is.

    Reference:
        "On Calibration of Modern Neural Networks" (ICML 2017), section 4.2.
    """
    logits = np.asarray(logits, "float64")

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits / np.exp(log_temperature), axis=1)
        return float(-log_probabilities[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def prior_offsets(trained: Sequence[float], wanted: Sequence[float]) -> tuple[float, ...]:
    """What is added to logits that stand for one class mix so that they stand for another: the difference of the logs.

    Args:
        trained: Share of each class that the logits were trained for.
        wanted: Share of each class that is expected in use.

    Raises:
        UserError: The shares are not one positive number for each class.

    Reference:
        "Adjusting the Outputs of a Classifier to New a Priori Probabilities" (Neural Computation 14, 2002), eq. 2.4.
    """
    shares = np.asarray(wanted, "float64")
    if len(shares) != len(trained):
        raise UserError(f"A class mix needs a number for each of the {len(trained)} classes, received {len(shares)}.")
    if not (np.isfinite(shares).all() and shares.min() > 0):
        raise UserError(f"The shares of a class mix must be above 0, received {np.nanmin(shares):g}.")
    old = np.asarray(trained, "float64")
    offsets = np.log(shares / shares.sum()) - np.log(old / old.sum())
    return tuple((offsets - offsets.mean()).tolist())


def rarity_offsets(class_counts: Sequence[int], strength: float) -> tuple[float, ...]:
    """What is added to logits so that rare classes are named more often: `-strength * log(share)`.

    Trained networks know their rare training images by heart, so that a loss that was meant to treat all classes alike
    leaves something to do.

    Args:
        class_counts: Training images per class.
        strength: 0 changes nothing, 0.3 is much on some data, below 0 names frequent classes more often.

    Raises:
        UserError: The strength is not a number.

    Reference:
        "Long-tail learning via logit adjustment" (ICLR 2021), section 4.1, there for cross-entropy, with strength 1.
    """
    if not np.isfinite(strength):
        raise UserError(f"The strength towards rare classes must be a number, received {strength:g}.")
    offsets = -strength * np.log(np.maximum(np.asarray(class_counts, "float64"), 1))
    return tuple((offsets - offsets.mean()).tolist())


def precision_thresholds(
    labels: np.ndarray, logits: np.ndarray, mix: Sequence[float] | None = None
) -> dict[str, float | None]:
    """From which probability on the likeliest class is right as often as wished.

    Args:
        labels: Shape `(count,)`, of images that were not trained on.
        logits: Shape `(count, classes)`, as they will be used.
        mix: Share of each class that is expected in use; None: as it is among the labels.

    Returns:
        For each precision from 0.5 to 0.99, as text, the smallest probability from which on that share of the images
        was right; None where it is not reached.
    """
    probabilities = softmax(np.asarray(logits, "float64"), axis=1)
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    weights = np.ones(len(labels))
    if mix is not None:
        there = np.bincount(labels, minlength=len(mix)) / len(labels)
        weights = np.divide(mix, there, out=np.zeros(len(mix)), where=there > 0)[labels]
    order = np.argsort(-confidence, kind="stable")
    precision = np.cumsum((hits * weights)[order]) / np.maximum(np.cumsum(weights[order]), 1e-12)
    ends = np.append(np.diff(confidence[order]) < 0, True)  # images of one probability are accepted together
    found: dict[str, float | None] = {}
    for wished in PRECISIONS:
        enough = np.flatnonzero((precision >= wished) & ends)
        found[f"{wished:.2f}"] = float(confidence[order[enough[-1]]]) if len(enough) else None
    return found


def threshold_for(thresholds: Mapping[str, float | None], precision: float) -> float:
    """The threshold for a precision, rounded up to hundredths.

    Raises:
        UserError: There is none.
    """
    wished = f"{np.ceil(round(100 * precision, 6)) / 100:.2f}"
    if wished not in thresholds:
        raise UserError(f"A precision is a number from 0.5 to 0.99, received {precision:g}.")
    threshold = thresholds[wished]
    if threshold is None:
        raise UserError(f"A precision of {wished} was not reached on the validation pictures: ask for less.")
    return threshold
