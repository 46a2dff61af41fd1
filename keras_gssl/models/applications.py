"""Backbones of `keras.applications` by name, fed with the pixels that their published weights expect."""

from __future__ import annotations

import inspect
import re
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from keras_gssl.backend import keras, ops
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.downloads import fetching
from keras_gssl.layers import take_up_weights
from keras_gssl.models.pretrained import IMAGENET, load_all_weights


@cache
def application_names() -> tuple[str, ...]:
    """`"MobileNetV2"`, `"ResNet50"`, ...: all networks of `keras.applications`."""
    return tuple(sorted(name for name, value in vars(keras.applications).items() if inspect.isfunction(value)))


def application(name: str, input_shape: tuple[int, int, int], weights: str | Path | None = None) -> keras.Model:
    """A network of `keras.applications` without its top, from images to a feature vector.

    It carries its `preprocessing`, the `PixelNormalization` that its published weights expect. A model made with it
    takes pixels 0-255; `data.train()` and `data.test()` fit it as they fit every model.

    Args:
        name: Such as `"MobileNetV2"`.
        input_shape: `(height, width, 3)`.
        weights: `"imagenet"`, those that Keras publishes, downloaded if they are not there; a file of weights without
            the top (`.weights.h5` or `.h5`); None for random ones.

    Raises:
        ValueError: The network does not exist for this input, or the file does not hold its weights.
        UserError: The weights cannot be downloaded.

    Example:

    >>> gssl.applications.application("MobileNetV2", (64, 64, 3)).output_shape
    (None, 1280)
    """
    image = keras.Input(input_shape, name="image")
    pixels = ops.flip(image, axis=-1) if pixel_scale(name)[2] else image
    build = getattr(keras.applications, name)
    body = build(include_top=False, weights=None, input_tensor=pixels, input_shape=input_shape, pooling="avg")
    if weights is not None:
        body.set_weights(_published(name, input_shape, weights))
        take_up_weights(body.layers)
    backbone = keras.Model(image, body.output, name=name.lower())
    mean, std, _ = pixel_scale(name)
    backbone.preprocessing = PixelNormalization(mean, std)  # a `SupervisedModel` takes it up
    return backbone


def _published(name: str, input_shape: tuple[int, int, int], weights: str | Path) -> list[np.ndarray]:
    """The weights in a file, read into the network as Keras builds it: files name layers by their place in it."""
    if re.fullmatch(r"EfficientNetB\d", name):
        raise ValueError(
            f"Weights for {name} cannot be taken over: Keras builds the network otherwise where it downloads them. Use "
            f"{name.replace('NetB', 'NetV2B')} or another network"
        )
    build = partial(getattr(keras.applications, name), include_top=False, input_shape=input_shape, pooling="avg")
    if weights == IMAGENET:
        instead = "Give a file of weights without the top, fetched elsewhere (backbone_weights)."
        with fetching(f"The ImageNet weights of {name}", instead):
            return build(weights=IMAGENET).get_weights()
    plain = build(weights=None)
    load_all_weights(plain, weights, f"{name} without its top")
    return plain.get_weights()


@cache
def pixel_scale(name: str) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """Mean and standard deviation, on the scale 0-1, with which pixels become what a network expects.

    Found by looking at what its `preprocess_input` makes of black, white and red.

    Returns:
        Mean and standard deviation per channel in the order red, green, blue; and whether the network expects blue
        first.
    """
    preprocess = _module(name).preprocess_input
    colours = {"black": (0, 0, 0), "white": (255, 255, 255), "red": (255, 0, 0)}
    black, white, red = (
        preprocess(np.array(colour, "float32").reshape(1, 1, 1, 3)).reshape(3) for colour in colours.values()
    )
    blue_first = bool((red - black)[2] != 0)
    if blue_first:
        black, white = black[::-1], white[::-1]
    std = 1 / (white - black)
    return tuple((-black * std).tolist()), tuple(std.tolist()), blue_first


def _module(name: str) -> Any:
    """The module that holds the network and how its pixels are prepared."""
    modules = {
        module_name: module
        for module_name, module in vars(keras.applications).items()
        if isinstance(module, ModuleType) and hasattr(module, "preprocess_input")
    }
    for module in modules.values():
        if hasattr(module, name):
            return module
    # MobileNetV3Small is not in keras.applications.mobilenet_v3, only named like it.
    named_alike = [each for each in modules if name.lower().startswith(each.replace("_", ""))]
    return modules[max(named_alike, key=len)]
