"""SGD with the update rule of the reference code."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import BELOW_ONE, NOT_NEGATIVE
from keras_gssl.optimizers.by_part import StepsByPart, check_rate


@keras.saving.register_keras_serializable(package="keras_gssl")
class SGD(StepsByPart):
    """Stochastic gradient descent with momentum and L2 decay in the gradient.

    `g += weight_decay * p;  v = momentum * v + g;  p -= learning_rate * v`; with Nesterov's momentum
    `p -= learning_rate * (g + momentum * v)`.

    Keras' own SGD differs twice, and both matter here: its `weight_decay` is decoupled from the gradient, and it
    stores the learning rate inside the velocity, so that old large steps go on after the learning rate has dropped.
    Weights without a gradient are neither moved nor decayed.

    Args:
        learning_rate: Float or schedule.
        momentum: In `[0, 1)`.
        weight_decay: L2 factor added to the gradient of every weight that has one.
        nesterov: Whether the step looks ahead along the velocity.

    Example:

    >>> optimizer = gssl.SGD(0.1, momentum=0.9, weight_decay=2e-4)

    Reference:
        The rule of `torch.optim.SGD`, which all reference implementations use; Nesterov's as in "On the importance of
        initialization and momentum in deep learning" (ICML 2013), in the same form.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        name: str = "sgd",
        **kwargs: Any,
    ):
        check_rate(learning_rate)
        BELOW_ONE.check("momentum", momentum)
        NOT_NEGATIVE.check("weight_decay", weight_decay or 0.0)
        if nesterov and not momentum:
            raise ValueError("nesterov looks ahead along the momentum: give a momentum above 0.")
        # The base class' weight_decay stays None: it is the decoupled kind.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.momentum = momentum
        self.l2 = weight_decay or 0.0
        self.nesterov = nesterov

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = self.direction(ops.cast(gradient, variable.dtype) + self.l2 * variable, variable)
        self.assign_sub(variable, self.rate_of(variable, learning_rate) * step)

    def direction(self, gradient: Any, variable: Any) -> Any:
        """Take the gradient into the velocity, and say where the two point."""
        velocity = self.velocities[self._get_variable_index(variable)]
        self.assign(velocity, self.momentum * velocity + gradient)
        return gradient + self.momentum * velocity if self.nesterov else velocity

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "weight_decay": self.l2,
            "nesterov": self.nesterov,
        }
