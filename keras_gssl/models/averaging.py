"""A second copy of the network that holds the running mean of its weights, and is the one that is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import Bounds
from keras_gssl.layers import take_up_weights


@keras.saving.register_keras_serializable(package="keras_gssl")
class WeightAverage(keras.layers.Layer):
    """Exponential moving average of a backbone and a head, batch-norm statistics included.

    After step `t` (counted from 1) each weight's mean is `m * mean + (1 - m) * weight` with
    `m = min(momentum, t / (9 + t))`, so that the first steps, far from where training ends, are soon forgotten.

    `keras.callbacks.SwapEMAWeights` averages the trained weights alone: with the moving statistics of another network
    the averaged one is worse than either until the rate has become small. Here the statistics are averaged too.

    Args:
        backbone: Averaged with its statistics.
        head: Class head.
        features_shape: What the head takes.
        momentum: In `(0, 1)`; 0.999 averages over about the last thousand steps.

    Reference:
        "Acceleration of Stochastic Approximation by Averaging" (1992); with a warm-up as in
        `tf.train.ExponentialMovingAverage`; statistics averaged as in "Mean teachers" (NeurIPS 2017).
    """

    def __init__(
        self, backbone: keras.Model, head: keras.layers.Layer, features_shape: tuple[Any, ...], momentum: float
    ):
        super().__init__(name="average", trainable=False)
        Bounds(above=0, below=1).check("average, the momentum of the mean of the weights,", momentum)
        self.momentum = momentum
        self.backbone = _copy(backbone, backbone.input_shape if backbone.built else None)
        self.head = _copy(head, features_shape)
        self.backbone.trainable = self.head.trainable = False
        self.updates = self.add_weight(shape=(), initializer="zeros", trainable=False, name="updates", dtype="float32")
        self.built = True

    def update(self, backbone: keras.Model, head: keras.layers.Layer) -> None:
        """Take in the weights as they are after a step."""
        self.updates.assign_add(1.0)
        done = ops.convert_to_tensor(self.updates)
        momentum = ops.minimum(self.momentum, done / (9.0 + done))
        for mean, weight in self._pairs(backbone, head):
            if keras.backend.is_float_dtype(mean.dtype):
                share = ops.cast(momentum, mean.dtype)
                mean.assign(mean * share + ops.convert_to_tensor(weight) * (1 - share))
            else:
                mean.assign(weight)

    def restart(self, backbone: keras.Model, head: keras.layers.Layer) -> None:
        """Forget what was averaged: the means become the weights as they are now."""
        self.updates.assign(0.0)
        for mean, weight in self._pairs(backbone, head):
            mean.assign(weight)

    def give_to(self, backbone: keras.Model, head: keras.layers.Layer) -> None:
        """Set the weights to their means."""
        for mean, weight in self._pairs(backbone, head):
            weight.assign(mean)
        take_up_weights(backbone.layers)

    @contextmanager
    def lent_to(self, backbone: keras.Model, head: keras.layers.Layer) -> Iterator[None]:
        """Within the context the weights are their means."""
        kept = backbone.get_weights(), head.get_weights()
        self.give_to(backbone, head)
        try:
            yield
        finally:
            backbone.set_weights(kept[0])
            head.set_weights(kept[1])

    def call(self, images: Any) -> Any:
        """Class outputs of the averaged network, for normalised images."""
        return self.head(ops.cast(self.backbone(images, training=False), "float32"))

    def _pairs(self, backbone: keras.Model, head: keras.layers.Layer) -> Any:
        return zip([*self.backbone.weights, *self.head.weights], [*backbone.weights, *head.weights], strict=True)


def _copy(layer: Any, input_shape: Any) -> Any:
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    if not copy.built:
        copy.build(input_shape)
    copy.set_weights(layer.get_weights())
    return copy
