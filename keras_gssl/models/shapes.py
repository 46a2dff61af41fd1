"""What goes into a backbone and what comes out, for any kind of `keras.Model`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras

Shape = tuple[Any, ...]


def backbone_shapes(backbone: keras.Model, input_shape: Sequence[int] | None = None) -> tuple[Shape, Shape]:
    """Shapes of images and features, each with a leading `None` for the batch.

    Args:
        backbone: Functional, sequential or subclassed.
        input_shape: `(height, width, channels)`; needed for a model that knows no shape yet, which is then built.

    Raises:
        ValueError: The shape is not known, or the model does not give one feature vector per image.
    """
    if not isinstance(backbone, keras.layers.Layer):
        raise ValueError(f"The backbone must be a keras.Model from images to features; received {backbone!r}.")
    images = _image_shape(backbone, input_shape)
    if isinstance(backbone, (keras.Sequential, keras.Function)) and backbone.built:
        features = backbone.output_shape
    else:
        features = backbone(keras.Input(images[1:], name="image")).shape
    if not isinstance(features, tuple) or len(features) != 2 or features[-1] is None:
        raise ValueError(
            f"The backbone must end in one feature vector per image, shape (batch, features); received output shape "
            f"{features}. Add keras.layers.GlobalAveragePooling2D() at its end."
        )
    return images, features


def _image_shape(backbone: keras.Model, given: Sequence[int] | None) -> Shape:
    known: Any = None
    if isinstance(backbone, (keras.Sequential, keras.Function)) and backbone.built:
        known = backbone.input_shape
    elif given is None:  # a model that has been called on images remembers their shape
        known = (backbone.get_build_config() or {}).get("input_shape")
    if known is None and given is None:
        raise ValueError(
            f"The backbone {backbone.name!r} does not know the shape of its images yet: give the model "
            f"input_shape=(height, width, channels), or call the backbone on a batch of images first."
        )
    shape = (None, *(known[1:] if known is not None else given or ()))
    if given is not None and shape != (None, *given):
        raise ValueError(f"The backbone {backbone.name!r} takes images of {shape[1:]}, input_shape is {tuple(given)}.")
    return shape
