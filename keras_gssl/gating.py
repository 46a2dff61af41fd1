"""Gates: how much each pretext task counts, from the features (eq. 1 of the paper).

Every gate maps features `(batch, dim)` to weights `(batch, tasks)`, so the pretext loss is always
`mean over images of sum over tasks of weight * loss` (eq. 2) and only the weights differ.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_gssl.layers import dense_head


class Gate(keras.layers.Layer):
    """A dense layer with softmax over the tasks.

    Args:
        num_tasks: Number of pretext tasks.
    """

    #: Whether the training loss reaches the gate's own weights. Where it does not, they are neither moved nor decayed.
    trained_by_loss = True

    def __init__(self, num_tasks: int, name: str = "gate", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.num_tasks = num_tasks

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tasks": self.num_tasks}


@keras.saving.register_keras_serializable(package="keras_gssl")
class LearnedGate(Gate):
    """One weight per image and task, trained by the loss: eq. 1 and 2 as the paper prints them.

    Left alone it collapses: the gradient of `sum g_n L_n` only moves weight to the task whose loss is smallest.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.logits = dense_head(self.num_tasks, int(input_shape[-1] or 0), name="logits")
        self.logits.build(input_shape)
        super().build(input_shape)

    def call(self, features: Any) -> Any:
        return ops.softmax(self.logits(features))


@keras.saving.register_keras_serializable(package="keras_gssl")
class FrozenGate(LearnedGate):
    """One weight per task and batch, never trained: what the authors' code does, and what produced their numbers.

    `softmax(mean over the batch of the logits)`, without gradient. The gate keeps its random initial weights, so the
    tasks' "importance" is a random draw per run.
    """

    trained_by_loss = False

    def call(self, features: Any) -> Any:
        logits = ops.mean(self.logits(features), axis=0, keepdims=True)
        weights = ops.stop_gradient(ops.softmax(logits))
        return ops.repeat(weights, ops.shape(features)[0], axis=0)


@keras.saving.register_keras_serializable(package="keras_gssl")
class NoGate(Gate):
    """Weight 1 for every task: the plain sum of the pretext losses. Has no weights of its own."""

    def call(self, features: Any) -> Any:
        return ops.ones((ops.shape(features)[0], self.num_tasks), dtype=features.dtype)


GATES: dict[str, type[Gate]] = {"frozen": FrozenGate, "learned": LearnedGate, "none": NoGate}


def make_gate(gating: str, num_tasks: int) -> Gate:
    """The gate of that name. With fewer than two tasks there is nothing to weigh, so the weight is 1."""
    if gating not in GATES:
        raise ValueError(f"gating must be one of {', '.join(map(repr, GATES))}; received {gating!r}.")
    return GATES[gating](num_tasks, dtype="float32") if num_tasks > 1 else NoGate(num_tasks, dtype="float32")
