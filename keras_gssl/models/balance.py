"""How strongly the pretext losses pull at the features, beside the class loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.devices import global_batch_size, sum_over_replicas


class GradientBalance:
    """Measures the ratio of pretext to class gradient at the features, and holds it where that is wanted.

    Args:
        names: Of the tasks.
        ssl_ratio: Weight of the pretext losses, or `"auto"`.
        gradient_ratio: With `"auto"`, the length of the weighed sum of the pretext gradients is made so many times that
            of the class gradient, in every step.
    """

    def __init__(self, names: Sequence[str], ssl_ratio: float | str, gradient_ratio: float):
        self.ssl_ratio, self.gradient_ratio = ssl_ratio, gradient_ratio
        self.ratios = [keras.metrics.Mean(name=f"ratio_{name}") for name in names]
        self.chosen = [keras.metrics.Mean(name="ssl_ratio")] if ssl_ratio == "auto" else []

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return [*self.ratios, *self.chosen]

    def weight(self, class_gradient: Any, task_gradients: Sequence[Any], gate: Any) -> Any:
        """Weight of the pretext losses in this step, the same on all devices that share it.

        Args:
            class_gradient: Gradient of the class loss, a mean over the batch of all devices, shape `(batch, dim)`.
            task_gradients: For each task the gradients of the images' losses, shape `(batch, dim)`.
            gate: Shape `(batch, tasks)`.
        """
        batch = global_batch_size(gate)
        weighed = [ops.stop_gradient(gate[:, i : i + 1]) * each / batch for i, each in enumerate(task_gradients)]
        squares = [ops.sum(ops.square(each)) for each in (class_gradient, sum(weighed), *weighed)]
        of_class, of_all, *of_tasks = ops.unstack(ops.sqrt(sum_over_replicas(ops.stack(squares))), len(squares))
        weight: Any = self.ssl_ratio
        if weight == "auto":
            weight = ops.divide_no_nan(self.gradient_ratio * of_class, of_all)
            weight = ops.stop_gradient(weight)  # 0 where no image was altered: there is nothing to weigh
        for tracker, length in zip(self.ratios, of_tasks, strict=True):
            tracker.update_state(ops.divide_no_nan(weight * length, of_class))
        for tracker in self.chosen:
            tracker.update_state(weight)
        return weight
