"""The deployable classifier: backbone and classification head as one flat float32 model of stock Keras layers."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_gssl.layers import CosineHead, FusedBatchNormalization, OptionAShortcut, take_up_weights


def flat_classifier(backbone: keras.Model, head: keras.layers.Layer, logit_scale: float = 1.0) -> keras.Model:
    """Copy backbone and head into one functional model.

    Args:
        backbone: Functional or sequential model from images to features. Any other `keras.Model` is nested as it is.
        head: `CosineHead` or `keras.layers.Dense`, built.
        logit_scale: Factor on the outputs, folded into the weights.

    Returns:
        A float32 `keras.Model` from images to logits.
    """
    if isinstance(backbone, keras.Sequential):
        backbone = keras.Model(backbone.inputs, backbone.outputs[0])  # the same layers, as a graph that can be rewired
    if isinstance(backbone, keras.Function):
        body = keras.models.clone_model(backbone, clone_function=_as_stock_float32, call_function=_call)
        body.set_weights(backbone.get_weights())
        take_up_weights(body)
        image, features = body.input, body.output
    else:
        image = keras.Input(backbone.input_shape[1:], name="image")
        features = ops.cast(backbone(image, training=False), "float32")
    kernel, *bias = head.get_weights()
    if isinstance(head, CosineHead):
        features = keras.layers.UnitNormalization(dtype="float32", name="direction")(features)
        kernel = ops.convert_to_numpy(ops.normalize(kernel, axis=0, epsilon=1e-12))
    logits = keras.layers.Dense(kernel.shape[1], use_bias=bool(bias), dtype="float32", name="logits")
    model = keras.Model(image, logits(features), name="classifier")
    logits.set_weights([logit_scale * weight for weight in (kernel, *bias)])
    return model


def _as_stock_float32(layer: keras.Operation) -> keras.Operation:
    if not isinstance(layer, keras.layers.Layer):
        return layer  # a bare operation, such as a flip: it has no weights and no precision of its own
    config = {**layer.get_config(), "dtype": "float32"}
    stock = keras.layers.BatchNormalization if isinstance(layer, FusedBatchNormalization) else type(layer)
    return stock.from_config(config)


def _call(layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
    # The shortcut's operations, traced one by one, are stock operations; the layer itself is not.
    return layer.call(*args) if isinstance(layer, OptionAShortcut) else layer(*args, **kwargs)
