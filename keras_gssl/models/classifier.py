"""The deployable classifier: backbone and classification head as one flat float32 model of stock Keras layers."""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.layers import CosineHead, FusedBatchNormalization, OptionAShortcut
from keras_gssl.randomness import seeded


class Deploys:
    """The part of a `SupervisedModel` that gives away what is deployed."""

    def classifier(self: Any, logit_scale: float | None = None, normalised: bool = False) -> keras.Model:
        """The deployable part: a flat functional float32 model to logits, without pretext heads.

        It is a copy made of stock Keras layers alone (as far as the backbone's own layers are), so it loads without
        this package. It takes what the model takes.

        Args:
            logit_scale: Factor on the outputs. Default: the model's `logit_scale`, so that the softmax of the logits is
                the probability that was trained. With 1, the outputs are those of the model itself.
            normalised: Leave a `preprocessing` out: the classifier then takes normalised images.

        Returns:
            A `keras.Model` with the layers `image` ... `logits`.
        """
        scale = self.logit_scale if logit_scale is None else logit_scale
        preprocessing = None if normalised else self.preprocessing
        averaged = nullcontext() if self.average is None else self.average.lent_to(self.backbone, self.class_head)
        with averaged:
            return flat_classifier(self.backbone, self.class_head, scale, self._image_shape, preprocessing)

    def export(self: Any, filepath: Any, format: str = "tf_saved_model", **kwargs: Any) -> Any:
        """As `keras.Model.export`, of backbone and class head alone; the outputs are those of `predict`."""
        return self.classifier(logit_scale=1.0).export(filepath, format=format, **kwargs)


def flat_classifier(
    backbone: keras.Model,
    head: keras.layers.Layer,
    logit_scale: float,
    image_shape: tuple[Any, ...],
    preprocessing: PixelNormalization | None = None,
) -> keras.Model:
    """Copy backbone and head into one functional model.

    Models within the backbone are unfolded, so that every layer can be seen, as explanations and converters need it.

    Args:
        backbone: From images to features. The layers of a subclassed model are unfolded too, where its `call` consists
            of Keras layers and operations; else it is nested as it is.
        head: `CosineHead` or `keras.layers.Dense`, built.
        logit_scale: Factor on the outputs, folded into the weights.
        image_shape: Of the images, with the batch.
        preprocessing: What is to happen to the images first.

    Returns:
        A float32 `keras.Model` from images to logits.
    """
    with seeded(0):  # layers draw initial weights, which are then replaced
        return _flat_classifier(backbone, head, logit_scale, image_shape, preprocessing)


def _flat_classifier(
    backbone: keras.Model,
    head: keras.layers.Layer,
    logit_scale: float,
    image_shape: tuple[Any, ...],
    preprocessing: PixelNormalization | None,
) -> keras.Model:
    graph, copies = _as_graph(backbone, image_shape), _Copies({"image", "preprocessing", "direction", "logits"})
    if graph is not None and preprocessing is None:
        body = copies.of(graph)
        image, features = body.input, body.output
    else:
        image = x = keras.Input(image_shape[1:], name="image")
        if preprocessing is not None:
            x = preprocessing.as_layer(name="preprocessing")(image)
        features = backbone(x, training=False) if graph is None else copies.of(graph).call(x)
    if features.dtype != "float32":
        features = ops.cast(features, "float32")
    kernel, *bias = head.get_weights()
    if isinstance(head, CosineHead):
        features = keras.layers.UnitNormalization(dtype="float32", name="direction")(features)
        kernel = ops.convert_to_numpy(ops.normalize(kernel, axis=0, epsilon=1e-12))
    logits = keras.layers.Dense(kernel.shape[1], use_bias=bool(bias), dtype="float32", name="logits")
    model = keras.Model(image, logits(features), name="classifier")
    logits.set_weights([logit_scale * weight for weight in (kernel, *bias)])
    if graph is not None and (preprocessing is not None or copies.unfolded):
        # Layers that were called twice, alone and here, point to the first call: explanations need them to be here.
        model = _Copies().of(model)
    return model


def _as_graph(model: keras.Model, input_shape: tuple[Any, ...]) -> keras.Function | None:
    """A model as a graph of layers; None for a subclassed one whose `call` is more than layers and Keras operations."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if isinstance(model, keras.Function):
        return model
    image = keras.Input(input_shape[1:], name="image")
    try:
        return keras.Model(image, model.call(image), name=model.name)
    except Exception:  # TensorFlow's own operations refuse symbolic tensors with errors of several kinds
        return None


class _Copies:
    """Copies of layers in float32, each made once, with the weights of the original."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._copies: dict[int, tuple[keras.Operation, keras.Operation]] = {}
        self._names = set(reserved)
        self.unfolded = False  # whether there were models within, whose layers now are in their place

    def of(self, graph: keras.Function) -> keras.Function:
        """A copy of a model."""
        copied = self._copy_graph(graph)
        for original, copy in self._copies.values():
            if isinstance(copy, keras.layers.Layer) and copy is not original:
                copy.set_weights(_weights_for(copy, original))
        return copied

    def _copy_graph(self, graph: keras.Function) -> keras.Function:
        return keras.models.clone_model(graph, clone_function=lambda layer: layer, call_function=self._call)

    def _call(self, layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, (keras.Sequential, keras.Function)):
            inner = _as_graph(layer, ())
            assert inner is not None
            self.unfolded = True
            return self._copy_graph(inner).call(*args)  # its layers one by one, in place of the model
        if isinstance(layer, OptionAShortcut):
            return layer.call(*args)  # its operations, traced one by one, are stock operations; the layer itself is not
        return self._of(layer)(*args, **kwargs)

    def _of(self, layer: keras.Operation) -> keras.Operation:
        if id(layer) not in self._copies:
            self._copies[id(layer)] = (layer, self._copy(layer))
        return self._copies[id(layer)][1]

    def _copy(self, layer: keras.Operation) -> keras.Operation:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # a bare operation, such as a flip: it has no weights and no precision of its own
        name = self._free_name(layer.name)
        try:
            if isinstance(layer, keras.layers.Lambda):
                options = {"arguments": layer.arguments, "mask": layer.mask, "output_shape": layer._output_shape}
                return keras.layers.Lambda(layer.function, name=name, dtype="float32", **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of lambdas, which are not written to a file here
                config = {**layer.get_config(), "dtype": "float32", "name": name}
            # Functions are handed on as they are: what their names stand for in a file is known to their owner alone.
            functions = {key: getattr(layer, key, None) for key in config}
            config |= {key: value for key, value in functions.items() if isinstance(value, types.FunctionType)}
            if isinstance(layer, keras.layers.Normalization) and not layer.invert:
                return _as_rescaling(layer, name)
            if _is_depthwise(layer):
                for key in ("filters", "groups", "kernel_initializer", "kernel_regularizer", "kernel_constraint"):
                    config.pop(key, None)
                return keras.layers.DepthwiseConv2D(**config)
            kind = keras.layers.BatchNormalization if isinstance(layer, FusedBatchNormalization) else type(layer)
            return kind.from_config(config)
        except (TypeError, ValueError, NotImplementedError) as error:
            warnings.warn(
                f"The layer {layer.name!r} cannot be made again from its configuration ({str(error).splitlines()[0]}); "
                f"the classifier shares it with the model, in the precision that it has.",
                stacklevel=2,
            )
            return layer

    def _free_name(self, name: str) -> str:
        """Two models within the backbone may both have a layer of that name."""
        free, number = name, 1
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free


def _as_rescaling(layer: keras.layers.Normalization, name: str) -> keras.layers.Rescaling:
    """`Normalization` keeps its statistics outside of the graph, where converters do not find them."""
    std = ops.maximum(ops.sqrt(layer.variance), keras.config.epsilon())
    scale, offset = (ops.convert_to_numpy(each)[0].tolist() for each in (1 / std, -layer.mean / std))
    return keras.layers.Rescaling(scale, offset, name=name, dtype="float32")


def _is_depthwise(layer: keras.layers.Layer) -> bool:
    """Whether it is a grouped convolution of one channel a group: converters know that as another operation."""
    if type(layer) is not keras.layers.Conv2D or layer.groups == 1:
        return False
    return layer.groups == layer.filters == layer.kernel.shape[2] * layer.groups


def _weights_for(copy: keras.layers.Layer, original: keras.layers.Layer) -> list[Any]:
    """The original's weights in the shapes of the copy."""
    if isinstance(copy, keras.layers.Rescaling):
        return []
    weights = original.get_weights()
    if isinstance(copy, keras.layers.DepthwiseConv2D) and not isinstance(original, keras.layers.DepthwiseConv2D):
        weights[0] = weights[0].transpose(0, 1, 3, 2)  # (height, width, 1, channels) to (height, width, channels, 1)
    return weights
