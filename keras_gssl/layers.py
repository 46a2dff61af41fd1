"""Layers of the method: cosine head, dense head with the reference's initial values, fused batch norm, shortcut."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from keras_gssl.backend import keras, ops, tf
from keras_gssl.bounds import COUNT
from keras_gssl.devices import num_replicas, sum_over_replicas


@keras.saving.register_keras_serializable(package="keras_gssl")
class UnitColumns(keras.initializers.Initializer):
    """Columns drawn from U(-1, 1), each scaled to length 1."""

    def __init__(self, seed: int | None = None):
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        columns = keras.initializers.RandomUniform(-1.0, 1.0, seed=self.seed)(shape, dtype=dtype)
        return columns / ops.norm(columns, axis=0, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_gssl")
class CosineHead(keras.layers.Layer):
    """Cosine between the features and each class' weight column: no bias, no scale, values in `[-1, 1]`.

    Args:
        units: Number of classes.

    Input shape: `(batch, dim)`. Output shape: `(batch, units)`.

    Example:

    >>> head = gssl.CosineHead(10, dtype="float32")
    >>> tuple(head(tf.random.normal((4, 64))).shape)
    (4, 10)

    Reference:
        The normalised linear layer of LDAM-DRW (NeurIPS 2019). The scale lives in `LDAMLoss`.
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = COUNT.check("units", units)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), initializer=UnitColumns(), name="kernel")
        super().build(input_shape)

    def call(self, features: Any) -> Any:
        # epsilon far below any real length: it only guards features that are all zero (a dead ReLU layer).
        directions = ops.normalize(features, axis=-1, epsilon=1e-12)
        return ops.matmul(directions, ops.normalize(self.kernel, axis=0, epsilon=1e-12))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        return (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="keras_gssl")
class ScaledCosineHead(CosineHead):
    """`CosineHead` times a scale that is learned: logits, for a plain cross-entropy.

    Cosines alone make a softmax that cannot become sure: its gradient at the features stays hundreds of times below
    that of a loss that scales them.

    Args:
        units: Number of classes.
        initial_scale: Of the scale.

    Reference:
        The auxiliary heads of "Boosting Few-Shot Visual Learning with Self-Supervision" (ICCV 2019), section 4.
    """

    def __init__(self, units: int, initial_scale: float = 10.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.initial_scale = initial_scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.scale = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self.initial_scale), name="scale"
        )
        super().build(input_shape)

    def call(self, features: Any) -> Any:
        return self.scale * super().call(features)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial_scale": self.initial_scale}


def he_normal() -> keras.initializers.Initializer:
    """Normal, standard deviation `sqrt(2 / fan_in)`, not truncated (Keras' own `HeNormal` truncates)."""
    return keras.initializers.VarianceScaling(2.0, mode="fan_in", distribution="untruncated_normal")


def dense_head(units: int, fan_in: int, name: str) -> keras.layers.Dense:
    """A float32 dense layer with the reference's initial values: kernel He normal, bias U(+-1 / sqrt(fan_in))."""
    bound = 1 / math.sqrt(fan_in)
    return keras.layers.Dense(
        units,
        kernel_initializer=he_normal(),
        bias_initializer=keras.initializers.RandomUniform(-bound, bound),
        dtype="float32",
        name=name,
    )


def take_up_weights(layers: Iterable[Any]) -> None:
    """Let Keras' `Normalization` layers compute with weights that were just set; they keep what they derived before."""
    for layer in layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


@keras.saving.register_keras_serializable(package="keras_gssl")
class FusedBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` for `(batch, height, width, channels)`, with TensorFlow's fused kernel.

    Keras computes the statistics in training with separate operations; one fused operation makes a whole training
    step of a small ResNet about a quarter faster. Weights, shapes, configuration and results are those of the stock
    layer, except that the moving variance takes the unbiased batch variance, as PyTorch and TensorFlow 2's
    `tf.keras` did, and that several devices training together share the statistics of the global batch. What the kernel
    cannot do (other axes, masks, no centre or scale, `renorm`, `synchronized`) the stock layer does.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        fused = self.axis in (-1, 3) and len(inputs.shape) == 4 and mask is None and self.center and self.scale
        if not fused or self.synchronized or getattr(self, "renorm", False):
            return super().call(inputs, training=training, mask=mask)
        training = bool(training) and self.trainable
        inputs = ops.cast(inputs, self.compute_dtype)
        gamma, beta, mean, variance = (
            tf.convert_to_tensor(ops.cast(weight, "float32"))
            for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        if training and num_replicas() > 1:
            return self._normalise_over_devices(inputs, gamma, beta)
        # Training takes no statistics in; float16 inputs are normalised with float32 statistics by this operation.
        outputs, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=tf.zeros((0,)) if training else mean,
            variance=tf.zeros((0,)) if training else variance,
            epsilon=self.epsilon,
            is_training=training,
        )
        if training:
            self._move(batch_mean, batch_variance)
        return outputs

    def _normalise_over_devices(self, inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        """Statistics of the global batch, so that training on several devices equals training on one."""
        values = tf.cast(inputs, tf.float32)
        count = sum_over_replicas(tf.cast(tf.size(values) / values.shape[-1], tf.float32))
        mean = sum_over_replicas(tf.reduce_sum(values, (0, 1, 2))) / count
        # In two passes: the difference of large squares would drown a small variance.
        variance = sum_over_replicas(tf.reduce_sum(tf.square(values - mean), (0, 1, 2))) / count
        self._move(mean, variance * count / (count - 1.0))
        return tf.cast(tf.nn.batch_normalization(values, mean, variance, beta, gamma, self.epsilon), inputs.dtype)

    def _move(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(ops.cast(moving, "float32") * self.momentum + new * (1.0 - self.momentum))


@keras.saving.register_keras_serializable(package="keras_gssl")
class OptionAShortcut(keras.layers.Layer):
    """Parameter-free shortcut between ResNet stages: every second pixel, and zero channels added on both sides.

    Args:
        filters: Number of channels after the shortcut; the added ones are split evenly before and after.

    Input shape: `(batch, height, width, channels)`. Output shape: `(batch, height / 2, width / 2, filters)`.

    Reference:
        Option A of "Deep Residual Learning for Image Recognition" (CVPR 2016), section 3.3.
    """

    def __init__(self, filters: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters = filters

    def call(self, inputs: Any) -> Any:
        added = self.filters - inputs.shape[-1]
        return ops.pad(inputs[:, ::2, ::2, :], ((0, 0), (0, 0), (0, 0), (added // 2, added - added // 2)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters}
