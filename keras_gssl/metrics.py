"""How good a classifier is where classes are unequal: per class, by class size, balanced, and calibrated or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, COUNT
from keras_gssl.class_groups import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.intervals import accuracy_intervals
from keras_gssl.losses import class_indices


def shot_groups(
    class_counts: Sequence[int], many_above: int = MANY_ABOVE, few_below: int = FEW_BELOW
) -> dict[str, np.ndarray]:
    """Classes by number of training images: more than `many_above`, in between, fewer than `few_below`.

    Example:

    >>> gssl.metrics.shot_groups([500, 100, 20, 19])["medium"]
    array([1, 2])

    Reference:
        The limits of "Large-Scale Long-Tailed Recognition in an Open World" (CVPR 2019).
    """
    counts = np.asarray(class_counts)
    if few_below > many_above + 1:
        raise ValueError(
            f"few_below ({few_below}) must not be above many_above + 1 ({many_above + 1}): groups overlap."
        )
    few, many = counts < few_below, counts > many_above
    return {name: np.flatnonzero(mask) for name, mask in zip(GROUPS, (many, ~few & ~many, few), strict=True)}


def per_class_accuracy(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Share of each class' images that are recognised; NaN for a class without test images. Shape `(num_classes,)`."""
    totals = np.bincount(labels, minlength=num_classes)
    hits = np.bincount(labels[labels == predicted], minlength=num_classes)
    return np.divide(hits, totals, out=np.full(num_classes, np.nan), where=totals > 0)


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence, weighted by images per bin.

    Args:
        labels: Shape `(count,)`.
        probabilities: Shape `(count, classes)`, rows summing to 1.
        bins: Bin i holds confidences in `(i / bins, (i + 1) / bins]`.

    Reference:
        "On Calibration of Modern Neural Networks" (ICML 2017), eq. 3.
    """
    confidence = probabilities.max(axis=1)
    hits = probabilities.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=hits - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def evaluate_logits(
    labels: np.ndarray,
    logits: np.ndarray,
    class_counts: Sequence[int],
    many_above: int = MANY_ABOVE,
    few_below: int = FEW_BELOW,
) -> dict[str, Any]:
    """Everything this module measures, for one classifier on one test set.

    Args:
        labels: Shape `(count,)`.
        logits: Shape `(count, classes)`.
        class_counts: Training images per class.
        many_above, few_below: See `shot_groups`.

    Returns:
        `accuracy`, `balanced_accuracy`, `expected_calibration_error`, `many`, `medium`, `few` (mean accuracy of the
        group's classes, None for an empty group), `per_class`, all as fractions of 1; `tested`, the test images of each
        class, and `intervals`, see `accuracy_intervals`.
    """
    predicted = logits.argmax(axis=1)
    per_class = per_class_accuracy(labels, predicted, len(class_counts))
    groups = shot_groups(class_counts, many_above, few_below)
    tested = np.bincount(labels, minlength=len(class_counts))
    return {
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": _mean(per_class),
        **{name: _mean(per_class[classes]) for name, classes in groups.items()},
        "expected_calibration_error": expected_calibration_error(labels, softmax(logits.astype("float64"), axis=1)),
        "per_class": [None if np.isnan(value) else float(value) for value in per_class],
        "tested": tested.tolist(),
        "intervals": accuracy_intervals(np.nan_to_num(per_class) * tested, tested),
    }


def _mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


@keras.saving.register_keras_serializable(package="keras_gssl")
class ClassAccuracy(keras.metrics.Metric):
    """Mean accuracy over some classes, each class counting the same: for `compile(metrics=[...])`.

    Args:
        num_classes: Number of classes.
        classes: Which classes count; default all, which is the balanced accuracy.
        name: Name in logs and history.

    Example, the accuracy on classes with fewer than 20 training images:

    >>> counts = [5000, 300, 15, 9]
    >>> few = gssl.metrics.ClassAccuracy(4, gssl.metrics.shot_groups(counts)["few"], name="few")
    >>> few.update_state([2, 3], [[0, 0, 1, 0], [1, 0, 0, 0]])
    >>> float(few.result())
    0.5
    """

    def __init__(
        self, num_classes: int, classes: Sequence[int] | None = None, name: str = "balanced_accuracy", **kwargs: Any
    ):
        super().__init__(name=name, **kwargs)
        self.num_classes = COUNT.check("num_classes", num_classes)
        self.classes = list(range(num_classes)) if classes is None else [int(index) for index in classes]
        self.hits = self.add_weight(shape=(num_classes,), initializer="zeros", name="hits")
        self.totals = self.add_weight(shape=(num_classes,), initializer="zeros", name="totals")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = class_indices(y_true, self.num_classes)
        of_class = ops.one_hot(y_true, self.num_classes, dtype=self.dtype)
        if sample_weight is not None:
            of_class = of_class * ops.cast(ops.reshape(sample_weight, (-1, 1)), self.dtype)
        hit = ops.cast(ops.equal(ops.argmax(y_pred, axis=-1), y_true), self.dtype)
        self.totals.assign_add(ops.sum(of_class, axis=0))
        self.hits.assign_add(ops.sum(of_class * hit[:, None], axis=0))

    def result(self) -> Any:
        totals = ops.take(self.totals, self.classes)
        accuracy = ops.divide_no_nan(ops.take(self.hits, self.classes), totals)
        return ops.divide_no_nan(ops.sum(accuracy), ops.sum(ops.cast(totals > 0, self.dtype)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "classes": self.classes}


@keras.saving.register_keras_serializable(package="keras_gssl")
class ExpectedCalibrationError(keras.metrics.Metric):
    """`expected_calibration_error` for `compile(metrics=[...])`.

    Args:
        scale: Factor from the model's outputs to logits: 30 for cosine heads under `LDAMLoss`, 1 for dense heads.
        bins: Number of confidence bins.
    """

    def __init__(self, scale: float = 1.0, bins: int = 15, name: str = "calibration_error", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.scale = ABOVE_ZERO.check("scale", scale)
        self.bins = COUNT.check("bins", bins)
        self.gaps = self.add_weight(shape=(bins,), initializer="zeros", name="gaps")
        self.total = self.add_weight(shape=(), initializer="zeros", name="total")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = class_indices(y_true, ops.shape(y_pred)[-1])
        probabilities = ops.softmax(self.scale * ops.cast(y_pred, self.dtype))
        confidence = ops.max(probabilities, axis=-1)
        hit = ops.cast(ops.equal(ops.argmax(probabilities, axis=-1), y_true), self.dtype)
        weight = (
            ops.ones_like(hit) if sample_weight is None else ops.cast(ops.reshape(sample_weight, (-1,)), self.dtype)
        )
        bin_of = ops.clip(ops.cast(ops.ceil(confidence * self.bins), "int32") - 1, 0, self.bins - 1)
        in_bin = ops.one_hot(bin_of, self.bins, dtype=self.dtype)
        self.gaps.assign_add(ops.sum(in_bin * (weight * (hit - confidence))[:, None], axis=0))
        self.total.assign_add(ops.sum(weight))

    def result(self) -> Any:
        return ops.divide_no_nan(ops.sum(ops.abs(self.gaps)), self.total)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "bins": self.bins}
