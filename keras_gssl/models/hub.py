"""Backbones of keras-hub by the name of their preset, with its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_gssl.backend import keras
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.downloads import fetching
from keras_gssl.errors import UserError
from keras_gssl.extras import extra
from keras_gssl.models.names import PREFIX


def hub_backbone(name: str, input_shape: tuple[int, int, int]) -> keras.Model:
    """A preset of keras-hub, from images to a feature vector: its feature map or its tokens, averaged.

    Args:
        name: `keras_hub:PRESET`, such as `keras_hub:resnet_18_imagenet`, or `keras_hub:FOLDER` with a saved preset.
        input_shape: `(height, width, 3)`.

    Raises:
        UserError: keras-hub is not installed, or the preset cannot be fetched or does not take such images.
    """
    hub, preset = _import_hub(), name.removeprefix(PREFIX)
    with fetching(f"The preset {preset!r} of keras-hub", "Give the folder of a saved preset (keras_hub:FOLDER)."):
        body = hub.models.Backbone.from_preset(preset)
    image = keras.Input(input_shape, name="image")
    try:
        features = body(image)
    except Exception as error:  # each network says otherwise that images are too small for it
        raise UserError(
            f"{name} does not take images of {input_shape}: {str(error).strip().splitlines()[0]} (backbone)."
        ) from error
    if isinstance(features, dict) or len(features.shape) not in (2, 3, 4):
        raise UserError(f"{name} does not give one feature map per image: choose another preset (backbone).")
    if len(features.shape) == 4:
        features = keras.layers.GlobalAveragePooling2D(name="features")(features)
    elif len(features.shape) == 3:
        features = keras.layers.GlobalAveragePooling1D(name="features")(features)
    return keras.Model(image, features, name="keras_hub")


def hub_pixels(name: str) -> PixelNormalization | None:
    """How a preset wants its pixels; None where it does not say."""
    hub, preset = _import_hub(), name.removeprefix(PREFIX)
    with fetching(f"The preset {preset!r} of keras-hub", "Give the folder of a saved preset (keras_hub:FOLDER)."):
        try:
            converter = hub.layers.ImageConverter.from_preset(preset)
        except ValueError:  # it has none
            return None
    scale, offset = (_per_channel(each, empty) for each, empty in ((converter.scale, 1.0), (converter.offset, 0.0)))
    return PixelNormalization((-offset / scale / 255).tolist(), (1 / scale / 255).tolist())


def _per_channel(values: Any, empty: float) -> np.ndarray:
    return np.broadcast_to(np.asarray(empty if values is None else values, "float64").reshape(-1), (3,))


def _import_hub() -> Any:
    with extra("hub", "Presets need"):
        import keras_hub
    return keras_hub
