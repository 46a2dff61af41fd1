"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, BELOW_ONE, NOT_NEGATIVE
from keras_gssl.optimizers.by_part import StepsByPart, check_rate


@keras.saving.register_keras_serializable(package="keras_gssl")
class AdamW(StepsByPart):
    """Adam with decoupled weight decay, for fine-tuning; equal to Keras' own where no part is slowed down.

    The bias of the means is corrected by the steps of the whole training: a part that is frozen at first begins with
    somewhat larger steps than it would alone.

    Args:
        learning_rate: Float or schedule.
        weight_decay: Share of a weight, times the learning rate, that is taken off in each step.
        beta_1, beta_2: Momenta of the gradient and of its square, in `[0, 1)`.
        epsilon: Added to the root of the second.

    Example:

    >>> optimizer = gssl.AdamW(1e-3, weight_decay=0.05)

    Reference:
        "Decoupled Weight Decay Regularization" (ICLR 2019), algorithm 2.
    """

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "adamw",
        **kwargs: Any,
    ):
        check_rate(learning_rate)
        BELOW_ONE.check("beta_1", beta_1)
        BELOW_ONE.check("beta_2", beta_2)
        NOT_NEGATIVE.check("weight_decay", weight_decay)
        ABOVE_ZERO.check("epsilon", epsilon)
        # The base class' weight_decay stays None: it knows nothing of parts.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.decay, self.beta_1, self.beta_2, self.epsilon = weight_decay, beta_1, beta_2, epsilon

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.means = self.add_optimizer_variables(variables, "mean")
        self.squares = self.add_optimizer_variables(variables, "square")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        mean, square = self.means[index], self.squares[index]
        learning_rate = self.rate_of(variable, learning_rate)
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        self.assign(mean, self.beta_1 * mean + (1 - self.beta_1) * gradient)
        self.assign(square, self.beta_2 * square + (1 - self.beta_2) * ops.square(gradient))
        scale = ops.sqrt(1 - ops.power(self.beta_2, step)) / (1 - ops.power(self.beta_1, step))
        moved = scale * mean / (ops.sqrt(square) + self.epsilon)
        self.assign_sub(variable, learning_rate * (moved + self.decay * variable))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weight_decay": self.decay,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
