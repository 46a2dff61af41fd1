"""Losses for long tails: margins, logit adjustment, and class-balanced weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, BELOW_ONE, NOT_NEGATIVE


def ldam_margins(class_counts: Sequence[int] | Mapping[int, int], max_margin: float = 0.5) -> np.ndarray:
    """Margin of each class: proportional to `n_c ** -1/4`, the rarest class getting `max_margin`.

    Args:
        class_counts: Training images per class, all at least 1.
        max_margin: Margin of the rarest class.

    Returns:
        float64, shape `(classes,)`.

    Example:

    >>> gssl.ldam_margins([5000, 50]).round(3)
    array([0.158, 0.5  ])

    Reference:
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss" (NeurIPS 2019), eq. 13.
    """
    NOT_NEGATIVE.check("max_margin", max_margin)
    margins = check_class_counts(class_counts) ** -0.25
    return max_margin * margins / margins.max()


def class_balanced_weights(class_counts: Sequence[int] | Mapping[int, int], beta: float = 0.9999) -> np.ndarray:
    """Weight of each class by its effective number of images, scaled to sum to the number of classes.

    Args:
        class_counts: Training images per class, all at least 1.
        beta: In `[0, 1)`. 0 gives equal weights; towards 1, weights inverse to the counts.

    Returns:
        float64, shape `(classes,)`.

    Example:

    >>> gssl.class_balanced_weights([5000, 50]).round(3)
    array([0.025, 1.975])

    Reference:
        "Class-Balanced Loss Based on Effective Number of Samples" (CVPR 2019), eq. 2; used by LDAM-DRW.
    """
    BELOW_ONE.check("beta", beta)
    counts = check_class_counts(class_counts)
    weights = (1 - beta) / -np.expm1(counts * np.log(beta)) if beta else np.ones_like(counts)
    return weights * len(weights) / weights.sum()


class ClassCountLoss(keras.losses.Loss):
    """Base of losses that treat each class by its number of training images, `class_counts`."""

    class_counts: list[int]

    def check_outputs(self, outputs: Any) -> None:
        """Raise `ValueError` where a model predicts another number of classes than the loss was made for."""
        if outputs.shape[-1] != len(self.class_counts):
            raise ValueError(
                f"{type(self).__name__} was made for {len(self.class_counts)} classes (class_counts), "
                f"but the model predicts {outputs.shape[-1]}."
            )

    def with_classes_split(self, parts: int) -> ClassCountLoss:
        """The same loss where every class has become `parts` classes, one after the other, each with its count."""
        counts = np.repeat(self.class_counts, parts).tolist()
        return type(self).from_config({**self.get_config(), "class_counts": counts})


@keras.saving.register_keras_serializable(package="keras_gssl")
class LDAMLoss(ClassCountLoss):
    """Label-distribution-aware margin loss: cross-entropy of scaled cosines, with a larger margin for rare classes.

    `-log softmax(scale * (x - margin_y on the true class))[y]`, for outputs `x` of a cosine head. With sample weights
    the result is the weighted mean, `sum(w * loss) / sum(w)`.

    Args:
        class_counts: Training images per class.
        max_margin: Margin of the rarest class.
        scale: Factor on the cosines.

    Call arguments: `y_true` of shape `(batch,)`, class indices, or `(batch, classes)`, one-hot; `y_pred` of shape
    `(batch, classes)`, cosines.

    Example:

    >>> loss = gssl.LDAMLoss([5000, 50])
    >>> round(float(loss(np.array([1]), np.array([[0.2, 0.9]]))), 4)
    0.0025

    Reference:
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss" (NeurIPS 2019), eq. 13.
    """

    #: The heads that it goes with; see `heads_for`.
    heads = "cosine"

    def __init__(
        self,
        class_counts: Sequence[int] | Mapping[int, int],
        max_margin: float = 0.5,
        scale: float = 30.0,
        reduction: str = "mean_with_sample_weight",
        name: str = "ldam_loss",
        dtype: Any = "float32",
    ):
        # float32 whatever the policy: differences of margins drown in half precision.
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.class_counts = [int(count) for count in check_class_counts(class_counts)]
        self.max_margin = max_margin
        self.scale = ABOVE_ZERO.check("scale", scale)
        self._margins = ldam_margins(self.class_counts, max_margin).astype("float32")

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.check_outputs(y_pred)
        y_true = class_indices(y_true, len(self.class_counts))
        margins = ops.one_hot(y_true, len(self.class_counts), dtype=y_pred.dtype) * self._margins
        return ops.sparse_categorical_crossentropy(y_true, self.scale * (y_pred - margins), from_logits=True)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(class_counts=self.class_counts, max_margin=self.max_margin, scale=self.scale)
        return config


@keras.saving.register_keras_serializable(package="keras_gssl")
class LogitAdjustedLoss(ClassCountLoss):
    """Cross-entropy of logits to which the log of each class's frequency is added: balanced softmax.

    `-log softmax(scale * (x - margin on the true class) + temperature * log(n_c / n))[y]`. The network then learns what
    speaks for a class beyond how frequent it is, and its own outputs, without the added term, are right where all
    classes are equally frequent. On few and easy images, which a network soon knows by heart, a margin keeps it
    learning; where it never gets so far, a margin costs accuracy, and always calibration.

    Args:
        class_counts: Training images per class.
        temperature: How much of the frequency is taken out: 1 for balanced classes in use, 0 for plain cross-entropy.
        scale: None for logits of a dense head. A number for cosines of a cosine head, which are multiplied by it.
        margin: By how much the cosine of the true class must be above what it would else need to be; 0 for none. With
            shares, each class's margin is that share of it.

    Call arguments: `y_true` of shape `(batch,)`, class indices, or `(batch, classes)`, one-hot or shares that sum to 1;
    `y_pred` of shape `(batch, classes)`.

    Example:

    >>> loss = gssl.LogitAdjustedLoss([5000, 50])
    >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]]))), 4)
    4.6151

    Reference:
        "Balanced Meta-Softmax for Long-Tailed Visual Recognition" (NeurIPS 2020), eq. 4, and "Long-Tail Learning via
        Logit Adjustment" (ICLR 2021), eq. 10, which has the temperature. Margin: "CosFace" (CVPR 2018), eq. 4.
    """

    def __init__(
        self,
        class_counts: Sequence[int] | Mapping[int, int],
        temperature: float = 1.0,
        scale: float | None = None,
        margin: float = 0.0,
        reduction: str = "mean_with_sample_weight",
        name: str = "logit_adjusted_loss",
        dtype: Any = "float32",
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        counts = check_class_counts(class_counts)
        NOT_NEGATIVE.check("temperature", temperature)
        if scale is not None:
            ABOVE_ZERO.check("scale, where it is not None for a dense head,", scale)
        NOT_NEGATIVE.check("margin", margin)
        if margin and scale is None:
            raise ValueError(
                f"margin={margin:g} is one of cosines: give scale, such as 30, and make the model with heads='cosine'; "
                f"logits of a dense head take no margin."
            )
        self.class_counts = [int(count) for count in counts]
        self.temperature = temperature
        self.scale = scale
        self.margin = margin
        self._offsets = (temperature * np.log(counts / counts.sum())).astype("float32")

    @property
    def heads(self) -> str:
        return "dense" if self.scale is None else "cosine"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        self.check_outputs(y_pred)
        num_classes = len(self.class_counts)
        if is_one_hot(y_true, num_classes):
            shares = ops.cast(y_true, y_pred.dtype)
            return ops.categorical_crossentropy(shares, self._logits(y_pred, shares), from_logits=True)
        y_true = class_indices(y_true, num_classes)
        shares = ops.one_hot(y_true, num_classes, dtype=y_pred.dtype)
        return ops.sparse_categorical_crossentropy(y_true, self._logits(y_pred, shares), from_logits=True)

    def _logits(self, outputs: Any, shares: Any) -> Any:
        return (self.scale or 1.0) * (outputs - self.margin * shares) + self._offsets

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            class_counts=self.class_counts, temperature=self.temperature, scale=self.scale, margin=self.margin
        )
        return config


def heads_for(loss: Any) -> str:
    """The heads that a loss goes with: `"cosine"` where it says so itself, as `LDAMLoss` does, else `"dense"`.

    A loss that takes cosines and scales them has the attributes `heads = "cosine"` and `scale`.
    """
    return getattr(loss, "heads", "dense")


def class_indices(labels: Any, num_classes: int) -> Any:
    """Class labels as int32 of shape `(batch,)`: from integers, also of shape `(batch, 1)`, or from one-hot rows."""
    labels = ops.convert_to_tensor(labels)
    if is_one_hot(labels, num_classes):
        return ops.cast(ops.argmax(labels, axis=-1), "int32")
    return ops.cast(ops.reshape(labels, (-1,)), "int32")


def is_one_hot(labels: Any, num_classes: int) -> bool:
    """Whether labels have the shape of one-hot rows."""
    return len(labels.shape) == 2 and labels.shape[-1] == num_classes and num_classes > 1


def check_class_counts(class_counts: Sequence[int] | Mapping[int, int]) -> np.ndarray:
    """Class counts as float64, or `ValueError` naming the first class without images.

    Args:
        class_counts: Training images per class, in the order of the labels; or a dictionary from label to count.
    """
    if isinstance(class_counts, Mapping):
        if sorted(class_counts) != list(range(len(class_counts))):
            raise ValueError(
                f"class_counts as a dictionary needs the labels 0 to {len(class_counts) - 1} as keys; "
                f"received {list(class_counts)}."
            )
        class_counts = [class_counts[label] for label in range(len(class_counts))]
    try:
        counts = np.asarray(class_counts, "float64")
    except (TypeError, ValueError) as error:
        raise ValueError(f"class_counts must be numbers of training images, received {class_counts!r}.") from error
    if counts.ndim != 1 or len(counts) < 2:
        raise ValueError(
            f"class_counts must list the training images of at least 2 classes, received {class_counts!r}."
        )
    if not np.isfinite(counts).all() or (counts != np.floor(counts)).any():
        raise ValueError(f"class_counts must be whole numbers of training images, received {class_counts!r}.")
    if counts.min() < 1:
        raise ValueError(
            f"Class {int(counts.argmin())} has {counts.min():g} training images; every class needs at least one: "
            f"remove the class or add images."
        )
    return counts
