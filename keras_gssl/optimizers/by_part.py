"""What the optimizers here have in common: slower steps for a part of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import NOT_NEGATIVE


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


def check_rate(learning_rate: Any) -> None:
    """Raise `ValueError` for a number that is no rate; schedules and functions say what they give by themselves."""
    if not (callable(learning_rate) or isinstance(learning_rate, (dict, keras.Variable))):
        NOT_NEGATIVE.check("learning_rate", learning_rate)
