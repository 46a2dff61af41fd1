"""What changes over the epochs, as pure functions of the epoch, so that a resumed run needs no state."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import NOT_NEGATIVE, WHOLE
from keras_gssl.errors import DivergedError
from keras_gssl.losses import check_class_counts, class_balanced_weights
from keras_gssl.milestones import scale_milestones as scale_milestones

LOOK_SECONDS = 0.5


class StepSchedule(keras.callbacks.Callback):
    """Sets the learning rate at the start of every epoch: linear warm-up, then drops.

    Args:
        learning_rate: Rate between warm-up and the first drop.
        warmup_epochs: Epoch `e` (counted from 0) of the warm-up runs at `learning_rate * (e + 1) / warmup_epochs`.
        drops: From which epoch on the rate is multiplied by which factor of `learning_rate`.

    Example:

    >>> schedule = gssl.StepSchedule(0.1, warmup_epochs=5, drops={160: 0.01, 180: 0.0001})
    >>> [round(schedule(epoch), 6) for epoch in (0, 5, 160, 180)]
    [0.02, 0.1, 0.001, 1e-05]
    """

    def __init__(self, learning_rate: float = 0.1, warmup_epochs: int = 5, drops: Mapping[int, float] | None = None):
        super().__init__()
        self.learning_rate = NOT_NEGATIVE.check("learning_rate", learning_rate)
        self.warmup_epochs = WHOLE.check("warmup_epochs", warmup_epochs)
        for start, factor in (drops or {}).items():
            WHOLE.check("The epochs in drops", start)
            NOT_NEGATIVE.check("The factors in drops", factor)
        self.drops = dict(sorted((drops or {}).items()))

    def __call__(self, epoch: int) -> float:
        if epoch < self.warmup_epochs:
            return self.learning_rate * (epoch + 1) / self.warmup_epochs
        factor = 1.0
        for start, drop in self.drops.items():
            if epoch >= start:
                factor = drop
        return self.learning_rate * factor

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.optimizer.learning_rate = self(epoch)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self(epoch)


class DeferredReweighting(keras.callbacks.Callback):
    """From `start_epoch` on, weighs each image's class loss by its class-balanced weight; before, all weights are 1.

    Works with any loss on a `GatedSSLModel`. The class loss is the weighted mean, `sum(w * loss) / sum(w)`.

    Args:
        class_counts: Training images per class.
        start_epoch: First epoch (counted from 0) with weights.
        beta: See `class_balanced_weights`.

    Example:

    >>> drw = gssl.DeferredReweighting([5000, 50], start_epoch=160)
    >>> drw(159), drw(160).round(3)
    (array([1., 1.]), array([0.025, 1.975]))

    Reference:
        DRW in "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss" (NeurIPS 2019), section 3.3.
    """

    def __init__(self, class_counts: Sequence[int] | Mapping[int, int], start_epoch: int, beta: float = 0.9999):
        super().__init__()
        self.start_epoch = WHOLE.check("start_epoch", start_epoch)
        self._weights = class_balanced_weights(class_counts, beta)

    def __call__(self, epoch: int) -> np.ndarray:
        return self._weights if epoch >= self.start_epoch else np.ones_like(self._weights)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.model.class_weights.assign(self(epoch))


class RetrainClassifier(keras.callbacks.Callback):
    """From `start_epoch` on, trains a new class head alone, on frozen features.

    Features are best learned from the images as they come, the classifier from classes that count alike. So in the last
    epochs the backbone stays as it is, its batch norms with their moving statistics; the head begins anew. Classes are
    balanced by the loss (`LogitAdjustedLoss`, or `DeferredReweighting` with `LDAMLoss`), or with `class_counts` by
    weights, as a class-balanced sampler would in expectation.

    The optimizer's schedule should begin anew there too, as `InTurn` does. A `GatedSSLModel(average=...)` goes on with
    the averaged backbone.

    Args:
        start_epoch: First epoch (counted from 0) of this stage.
        class_counts: Training images per class, to weigh each class by the inverse of it; None leaves the weights.
        fresh: Whether the head begins anew, or goes on.

    Example:

    >>> stage = gssl.RetrainClassifier(start_epoch=50)

    Reference:
        "Decoupling Representation and Classifier for Long-Tailed Recognition" (ICLR 2020), section 4.2 (cRT).
    """

    def __init__(
        self, start_epoch: int, class_counts: Sequence[int] | Mapping[int, int] | None = None, fresh: bool = True
    ):
        super().__init__()
        self.start_epoch, self.fresh = WHOLE.check("start_epoch", start_epoch), fresh
        self._weights = None
        if class_counts is not None:
            inverse = 1 / check_class_counts(class_counts)
            self._weights = inverse * len(inverse) / inverse.sum()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch < self.start_epoch:
            return
        if self._weights is not None:
            self.model.class_weights.assign(self._weights)
        if not self.model.heads_only:
            self.model.freeze_backbone(begin=epoch == self.start_epoch, fresh_head=self.fresh)


class FreezeBackbone(keras.callbacks.Callback):
    """Trains the heads alone in the first epochs, on the features of a pretrained backbone; then everything.

    A fresh head's gradients would spoil what the backbone has learned. While it is frozen its batch norms use their
    moving statistics, and do not move them.

    Args:
        epochs: How many, counted from the first epoch of the training.

    Example:

    >>> warm_up = gssl.FreezeBackbone(epochs=3)

    Reference:
        "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution" (ICLR 2022), section 3.4.
    """

    def __init__(self, epochs: int):
        super().__init__()
        self.epochs = WHOLE.check("epochs", epochs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch < self.epochs and not self.model.heads_only:
            self.model.freeze_backbone(begin=False)
        elif epoch == self.epochs and self.epochs:
            self.model.unfreeze_backbone()


class StopIfNotFinite(keras.callbacks.Callback):
    """Ends a training whose loss has become infinite or not a number, instead of going on with a spoiled model.

    Unlike `keras.callbacks.TerminateOnNaN` it raises an error, which says where and why, so that nothing that comes
    after takes the model for a trained one.

    Raises:
        DivergedError: Within the step after which the loss is not finite; on a GPU, which would have to wait at every
            step for it to be looked at, within half a second, at the latest at the end of the epoch.

    Example:

    >>> callback = gssl.StopIfNotFinite()
    """

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._looked = epoch, time.monotonic()
        self._waits = bool(tf.config.list_logical_devices("GPU"))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._waits or time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._look(logs, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._look(logs, self.params.get("steps"))

    def _look(self, logs: Any, step: int | None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if math.isfinite(loss):
            return
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        raise DivergedError(
            f"The loss is {loss} in epoch {self._epoch + 1}{f', step {step}' if step else ''}, at the learning rate "
            f"{rate:.3g}. Most often the rate is too high: try a tenth of it, or a longer warm-up. If it is not, "
            f"look for images, sample weights or a pretext task that give values which are not finite."
        )
