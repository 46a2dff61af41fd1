"""SGD with the update rule of the reference code, AdamW, and slower steps for a part of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, BELOW_ONE, NOT_NEGATIVE


class StepsByPart(keras.optimizers.Optimizer):
    """Base of optimizers that can take smaller steps with some of the weights, such as a pretrained backbone's."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self._factors: dict[Any, float] = {}

    def slow_down(self, variables: Iterable[Any], factor: float) -> None:
        """From now on multiply the learning rate of these weights by `factor`.

        It is not saved: a model with `backbone_learning_rate_factor` says it in every training.
        """
        self._factors |= {self._var_key(variable): factor for variable in variables}

    def rate_of(self, variable: Any, learning_rate: Any) -> Any:
        """The learning rate for one of the weights."""
        return ops.cast(learning_rate, variable.dtype) * self._factors.get(self._var_key(variable), 1.0)


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
        _check_rate(learning_rate)
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
        velocity = self.velocities[self._get_variable_index(variable)]
        learning_rate = self.rate_of(variable, learning_rate)
        gradient = ops.cast(gradient, variable.dtype) + self.l2 * variable
        self.assign(velocity, self.momentum * velocity + gradient)
        step = gradient + self.momentum * velocity if self.nesterov else velocity
        self.assign_sub(variable, learning_rate * step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "weight_decay": self.l2,
            "nesterov": self.nesterov,
        }


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
        _check_rate(learning_rate)
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


def _check_rate(learning_rate: Any) -> None:
    """Raise `ValueError` for a number that is no rate; schedules and functions say what they give by themselves."""
    if not (callable(learning_rate) or isinstance(learning_rate, (dict, keras.Variable))):
        NOT_NEGATIVE.check("learning_rate", learning_rate)
