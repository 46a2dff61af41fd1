"""Backbones: from an image to a feature vector. Any `keras.Model` that does so can be used instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from keras_gssl.backend import keras
from keras_gssl.layers import FusedBatchNormalization, OptionAShortcut, he_normal
from keras_gssl.models.applications import application, application_names
from keras_gssl.models.hub import hub_backbone, hub_pixels
from keras_gssl.models.names import PREFIX, check_backbone_name
from keras_gssl.models.pretrained import IMAGENET, load_all_weights, take_weights_of


def make_backbone(name: str, input_shape: tuple[int, int, int], weights: str | Path | None = None) -> keras.Model:
    """A backbone by name.

    Args:
        name: `resnet8`, `resnet14`, ..., `resnet32`, ... (CIFAR), `resnet18_imagenet`, `resnet18_small`, or a network
            of `keras.applications` such as `MobileNetV2`, or `keras_hub:PRESET` with its weights.
        input_shape: `(height, width, channels)`, without the batch.
        weights: What to start from: a file of weights (for networks of `keras.applications` those without the top), a
            `.keras` file of a model with this backbone, such as a run's `classifier.keras`, or `"imagenet"` for
            networks of `keras.applications`. The backbone then carries the `preprocessing` that belongs to them.

    Example:

    >>> gssl.backbones.make_backbone("resnet18_small", (64, 64, 3)).output_shape
    (None, 512)
    """
    check_backbone_name(name)
    _check_weights(name, weights)
    saved = weights if weights is not None and Path(weights).suffix == ".keras" else None
    file = weights if saved is None else None
    pixels = None  # networks of keras.applications carry theirs
    if name.startswith(PREFIX):
        backbone, pixels = hub_backbone(name, input_shape), hub_pixels(name)
    elif name in application_names():
        backbone = application(name, input_shape, file)
    else:
        backbone = _own(name, input_shape, file)
    if saved is not None:
        pixels = take_weights_of(backbone, saved)
    if pixels is not None:
        backbone.preprocessing = pixels  # a `SupervisedModel` takes it up
    return backbone


def _check_weights(name: str, weights: str | Path | None) -> None:
    if weights is None:
        return
    if weights == IMAGENET:
        if name not in application_names():
            raise ValueError(
                f"weights imagenet are published for networks of keras.applications (MobileNetV2, ...), not for {name}"
            )
    elif name.startswith(PREFIX):
        raise ValueError(f"{name} brings its own weights: leave {weights} out")
    elif not Path(weights).is_file():
        raise ValueError(f"There is no file {weights} of weights for the backbone")


def _own(name: str, input_shape: tuple[int, int, int], weights: str | Path | None) -> keras.Model:
    if name.startswith("resnet18_"):
        backbone = resnet18(input_shape, name.removeprefix("resnet18_"))
    else:
        backbone = resnet_cifar(int(name.removeprefix("resnet")), input_shape)
    if weights is not None:
        load_all_weights(backbone, weights, f"the backbone {name}")
    return backbone


def resnet32(input_shape: tuple[int, int, int] = (32, 32, 3)) -> keras.Model:
    """ResNet-32 for CIFAR: 64 features, 463,504 trainable parameters. See `resnet_cifar`."""
    return resnet_cifar(32, input_shape)


def resnet_cifar(depth: int, input_shape: tuple[int, int, int] = (32, 32, 3)) -> keras.Model:
    """ResNet of `depth = 6n + 2` layers for small images, with parameter-free (option A) shortcuts.

    Args:
        depth: 8, 14, 20, 32, 44, 56 ...
        input_shape: `(height, width, channels)`, without the batch.

    Returns:
        A functional `keras.Model` from images to 64 features.

    Example:

    >>> gssl.backbones.resnet_cifar(20).output_shape
    (None, 64)

    Reference:
        "Deep Residual Learning for Image Recognition" (CVPR 2016), section 4.2.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, ...), received {depth}.")
    image = keras.Input(input_shape, name="image")
    x = _conv_norm(image, 16, 3, name="stem")
    x = keras.layers.ReLU(name="stem_relu")(x)
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(1, (depth - 2) // 6 + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            shortcut = OptionAShortcut(filters, name=f"{name}_shortcut")(x) if strides == 2 else x
            x = _basic_block(x, shortcut, filters, strides, name)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x), name=f"resnet{depth}")


def resnet18(input_shape: tuple[int, int, int] = (64, 64, 3), stem: str = "imagenet") -> keras.Model:
    """ResNet-18: 512 features.

    Args:
        input_shape: `(height, width, channels)`, without the batch.
        stem: `"imagenet"`, a 7x7 convolution of stride 2 and a 3x3 max-pool of stride 2 (the code behind the paper's
            Table 2; 11,176,512 trainable parameters), or `"small"`, a 3x3 convolution (the authors' released code;
            11,168,832).

    Returns:
        A functional `keras.Model` from images to 512 features.

    Reference:
        "Deep Residual Learning for Image Recognition" (CVPR 2016), table 1.
    """
    if stem not in ("imagenet", "small"):
        raise ValueError(f"stem must be 'imagenet' or 'small', received {stem!r}.")
    image = keras.Input(input_shape, name="image")
    x = (
        _conv_norm(image, 64, 7, strides=2, name="stem")
        if stem == "imagenet"
        else _conv_norm(image, 64, 3, name="stem")
    )
    x = keras.layers.ReLU(name="stem_relu")(x)
    if stem == "imagenet":
        # Zeros pad as well as minus infinity would: nothing after a ReLU is below 0.
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        x = keras.layers.MaxPooling2D(3, strides=2, name="stem_pool")(x)
    for stage, filters in enumerate((64, 128, 256, 512), start=1):
        for block in (1, 2):
            strides = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            shortcut = _conv_norm(x, filters, 1, strides=2, name=f"{name}_shortcut") if strides == 2 else x
            x = _basic_block(x, shortcut, filters, strides, name)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="features")(x), name=f"resnet18_{stem}")


def _basic_block(x: Any, shortcut: Any, filters: int, strides: int, name: str) -> Any:
    x = _conv_norm(x, filters, 3, strides=strides, name=f"{name}_conv1")
    x = keras.layers.ReLU(name=f"{name}_relu1")(x)
    x = _conv_norm(x, filters, 3, name=f"{name}_conv2")
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu2")(x)


def _conv_norm(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    # A strided convolution with padding "same" would pad one pixel less on the top and the left than the reference.
    # At stride 1 both agree, and without a layer of its own for the padding a training step is a fifth faster.
    if strides > 1 and size > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    x = keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        use_bias=False,
        kernel_initializer=he_normal(),
        name=name,
    )(x)
    return FusedBatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
