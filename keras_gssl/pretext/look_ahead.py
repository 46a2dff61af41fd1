"""The gate that asks of each task whether a step on it would help the classes."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, BELOW_ONE, COUNT
from keras_gssl.pretext.gates import LearnedGate

#: Of looks ahead: steps from one to the next, momentum of v, length of a difference's steps over that of the weights.
EVERY, MOMENTUM, DISTANCE = 20, 0.9, 0.02
_LARGEST = 3.0  # rewards of single images, in units of their root mean square, are cut off here


@keras.saving.register_keras_serializable(package="keras_gssl")
class LookAheadGate(LearnedGate):
    """Weights by how far a step on each task would lower the class loss; what remains goes to no task.

    The reward of task n on image i is the directional derivative of its loss along v, the running mean of the gradient
    of a class-balanced class loss on unaltered training images, at the backbone's weights: to first order, a step down
    the task's loss lowers the class loss by as much. It is found by a central difference, two forward passes for all
    images and tasks, every `every` steps.

    The gate's logits regress on `reward / temperature`, linear in the features as in eq. 1, the rewards in units of
    their root mean square over images. A null task with reward and logit 0 stands beside them, so the weights are
    `softmax([logits, 0])` without the last and sum to less than 1: they vanish where every task would harm. Neither
    gate nor regression sends a gradient into the features.

    Args:
        num_tasks: Number of pretext tasks.
        temperature: How strongly a reward is preferred to a smaller one.
        every: Steps from one look ahead to the next. A look costs about as much as 1.7 steps: 8 % at the default.
        momentum: Of the running mean v, per look.
        distance: Length of the difference's steps, as a share of the length of the backbone's weights.

    Reference:
        Ours. A look ahead by finite differences as in "Auto-Lambda" (TMLR 2022), there for one weight per task.
    """

    trained = False  # by the optimizer; it learns by itself in `take`
    looks_ahead = True
    least_tasks = 1
    reports = ("reward",)

    def __init__(
        self,
        num_tasks: int | None = None,
        temperature: float = 0.1,
        every: int = EVERY,
        momentum: float = MOMENTUM,
        distance: float = DISTANCE,
        **kwargs: Any,
    ):
        super().__init__(num_tasks, **kwargs)
        ABOVE_ZERO.check("temperature", temperature)
        COUNT.check("every", every)
        BELOW_ONE.check("momentum", momentum)
        ABOVE_ZERO.check("distance", distance)
        self.temperature, self.every, self.momentum, self.distance = temperature, every, momentum, distance

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        for variable in self.logits.weights:  # nothing is known yet, of any task
            variable.assign(ops.zeros_like(variable))
        self.mean_square = self.add_weight(shape=(), initializer="zeros", trainable=False, name="mean_square")
        self.looks = self.add_weight(shape=(), initializer="zeros", trainable=False, name="looks")

    def call(self, features: Any) -> Any:
        logits = self.logits(features)
        with_null = ops.concatenate([logits, ops.zeros_like(logits[:, :1])], axis=1)
        return ops.stop_gradient(ops.softmax(with_null)[:, :-1])

    def take(self, features: Any, rewards: Any, applied: Any) -> None:
        """Learn from one look ahead.

        Args:
            features: Shape `(batch, dim)`.
            rewards: Directional derivatives, shape `(batch, tasks)`.
            applied: 1 where a task was applied to an image, else 0; same shape.
        """
        count = ops.maximum(ops.sum(applied), 1.0)
        self.looks.assign_add(1.0)
        # An average in which later looks count more, as heads that have learned little pull at random; over about the
        # last 50 in the long run.
        rate = ops.maximum(4.0 / (3.0 + ops.convert_to_tensor(self.looks)), 0.02)
        self.mean_square.assign(self.mean_square * (1 - rate) + rate * ops.sum(applied * ops.square(rewards)) / count)
        unit = ops.sqrt(ops.maximum(ops.convert_to_tensor(self.mean_square), 1e-30))
        wanted = ops.clip(rewards / unit, -_LARGEST, _LARGEST) / self.temperature
        error = applied * (wanted - self.logits(features))
        # Normalised by the input's squared length (the bias' included), a rate of 1 takes an image's error away.
        error = rate * error / (1 + ops.sum(ops.square(features), axis=1, keepdims=True))
        shown = ops.maximum(ops.sum(applied, axis=0), 1.0)
        self.logits.kernel.assign_add(ops.matmul(ops.transpose(features), error) / shown)
        self.logits.bias.assign_add(ops.sum(error, axis=0) / shown)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "every": self.every,
            "momentum": self.momentum,
            "distance": self.distance,
        }
