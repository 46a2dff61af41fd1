"""Gates that know nothing, to measure others by: a gate that is no better has found nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import NOT_NEGATIVE
from keras_gssl.pretext.gates import Gate
from keras_gssl.pretext.look_ahead import LookAheadGate


@keras.saving.register_keras_serializable(package="keras_gssl")
class ConstantGate(Gate):
    """The same weights for every image in every step.

    Args:
        num_tasks: Number of pretext tasks.
        weights: Of the tasks. None: equal ones that sum to 1. With the mean weights of a finished run this is that
            run's gate without its knowledge of images and moments.
    """

    trained = False
    least_tasks = 1

    def __init__(self, num_tasks: int | None = None, weights: Sequence[float] | None = None, **kwargs: Any):
        super().__init__(num_tasks, **kwargs)
        if weights is not None and num_tasks not in (None, len(weights)):
            raise ValueError(f"weights must be one for each of {num_tasks} tasks, received {weights}.")
        for weight in weights or ():
            NOT_NEGATIVE.check("weights", weight)
        self.weights_of_tasks = None if weights is None else [float(weight) for weight in weights]
        self.num_tasks = num_tasks if weights is None else len(weights)

    def call(self, features: Any) -> Any:
        count = self.num_tasks or 1
        weights = self.weights_of_tasks or [1 / count] * count
        return ops.ones((ops.shape(features)[0], count)) * ops.convert_to_tensor(weights, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "weights": self.weights_of_tasks}


@keras.saving.register_keras_serializable(package="keras_gssl")
class RandomGate(Gate):
    """Weights drawn anew for every image and step: the softmax of normal numbers.

    Reference:
        "Reasonable Effectiveness of Random Weighting" (TMLR 2022, arXiv 2111.10603).
    """

    trained = False

    def __init__(self, num_tasks: int | None = None, seed: int = 0, **kwargs: Any):
        super().__init__(num_tasks, **kwargs)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, features: Any) -> Any:
        return ops.softmax(keras.random.normal((ops.shape(features)[0], self.num_tasks), seed=self.generator))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_gssl")
class ShuffledGate(LookAheadGate):
    """`LookAheadGate` whose weights each go to the next image of the batch: it knows the moment, not the image."""

    def call(self, features: Any) -> Any:
        return ops.roll(super().call(features), 1, axis=0)
