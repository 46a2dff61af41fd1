"""How strongly the pretext losses pull at the features, beside the class loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, ops

_MOMENTUM = 0.9  # of the lengths that an automatic ratio is taken from


class GradientBalance:
    """Measures the ratio of pretext to class gradient at the features, and holds it where that is wanted.

    Args:
        names: Of the tasks.
        ssl_ratio: Weight of the pretext losses, or `"auto"`.
        gradient_ratio: With `"auto"`, the length of the weighed sum of the pretext gradients over that of the class
            gradient is held at this, as a running mean over about ten steps.
        lengths: With `"auto"`, a variable of shape (2,) for the running means of both lengths.
    """

    def __init__(self, names: Sequence[str], ssl_ratio: float | str, gradient_ratio: float, lengths: Any = None):
        self.ssl_ratio, self.gradient_ratio, self.lengths = ssl_ratio, gradient_ratio, lengths
        self.ratios = [keras.metrics.Mean(name=f"ratio_{name}") for name in names]
        self.chosen = [] if lengths is None else [keras.metrics.Mean(name="ssl_ratio")]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self.ratios, *self.chosen]

    def weight(self, class_gradient: Any, task_gradients: Sequence[Any], gate: Any) -> Any:
        """Weight of the pretext losses in this step.

        Args:
            class_gradient: Gradient of the class loss, a mean over the batch, shape `(batch, dim)`.
            task_gradients: For each task the gradients of the images' losses, shape `(batch, dim)`.
            gate: Shape `(batch, tasks)`.
        """
        batch = ops.cast(ops.shape(class_gradient)[0], "float32")
        weighed = [ops.stop_gradient(gate[:, i : i + 1]) * each / batch for i, each in enumerate(task_gradients)]
        of_class = _length(class_gradient)
        weight = self.ssl_ratio if self.lengths is None else self._held(of_class, _length(sum(weighed)))
        for tracker, gradient in zip(self.ratios, weighed, strict=True):
            tracker.update_state(ops.divide_no_nan(weight * _length(gradient), of_class))
        for tracker in self.chosen:
            tracker.update_state(weight)
        return weight

    def _held(self, of_class: Any, of_tasks: Any) -> Any:
        now = ops.stop_gradient(ops.stack([of_class, of_tasks]))
        before = ops.convert_to_tensor(self.lengths)
        mean = ops.where(before > 0, _MOMENTUM * before + (1 - _MOMENTUM) * now, now)
        # Where no image was altered there is nothing to balance.
        self.lengths.assign(ops.where(of_tasks > 0, mean, before))
        lengths = ops.convert_to_tensor(self.lengths)
        return ops.stop_gradient(ops.divide_no_nan(self.gradient_ratio * lengths[0], lengths[1]))


def _length(gradient: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(gradient)))
