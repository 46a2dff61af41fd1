"""Weights that a backbone starts from: files, saved models, and what Keras publishes for ImageNet."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.backend import keras
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.files import read_json

IMAGENET = "imagenet"


def load_all_weights(model: keras.Model, file: str | Path, what: str) -> None:
    """Load weights from a file, or raise `ValueError` if some are missing there, of which Keras only warns."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(file)
    except (OSError, ValueError, KeyError, TypeError, UserWarning) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{file} does not hold the weights of {what} ({reason})") from error


def take_weights_of(backbone: keras.Model, file: str | Path) -> PixelNormalization | None:
    """Give a backbone the weights that the same backbone has in a saved model.

    Args:
        backbone: Takes them, whatever the size of its images.
        file: A `.keras` file: a `GatedSSLModel` (`last.keras`, `best.keras` of a run), its classifier, or a backbone.

    Returns:
        How these weights want their pixels; None where neither the model nor its run says.

    Raises:
        ValueError: The file cannot be loaded, or holds another network.
    """
    model = _saved_model(file)
    weights = _weights_by_layer(model)
    layers = [layer for layer in backbone.layers if layer.get_weights()]
    if len(layers) == len(weights) and not all(layer.name in weights for layer in layers):
        # Keras numbers layers without a name anew in every network that is built: then their order tells.
        weights = dict(zip((layer.name for layer in layers), weights.values(), strict=True))
    given = {}
    for layer in backbone.layers:
        shapes = [weight.shape for weight in layer.get_weights()]
        found = weights.get(layer.name)
        if shapes and (found is None or [each.shape for each in found] != shapes):
            what = "has no such layer" if found is None else f"has {[each.shape for each in found]}"
            raise ValueError(
                f"{file} does not hold the weights of the backbone {backbone.name}: for its layer {layer.name!r} of "
                f"shapes {shapes} it {what}"
            )
        if shapes:
            given[layer.name] = found
    for layer in backbone.layers:
        if layer.name in given:
            layer.set_weights(given[layer.name])
    return _pixels_of(model, file)


def _pixels_of(model: Any, file: str | Path) -> PixelNormalization | None:
    """How a saved model wants its pixels: as it says itself, or as `data.json` beside it says; None if neither does."""
    carried = getattr(model, "preprocessing", None)
    if isinstance(carried, PixelNormalization):
        return carried
    about = Path(file).with_name("data.json")
    if not about.exists():
        return None
    try:
        known = read_json(about)
        return PixelNormalization(known["mean"], known["std"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{about} does not say how {file} wants its pixels: it is damaged ({error})") from error


def _saved_model(file: str | Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return keras.models.load_model(file, compile=False)
    except Exception as error:  # damaged archives raise errors of a dozen kinds
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(f"{file} is not a model that Keras can load ({reason})") from error


def _weights_by_layer(model: Any) -> dict[str, list[np.ndarray]]:
    """Weights of a saved model's backbone, by the names of its layers; their averages where it keeps them."""
    used = getattr(model, "average", None)
    backbone = getattr(model if used is None else used, "backbone", model)
    held = {layer.name: layer.get_weights() for layer in backbone.layers if layer.get_weights()}
    if backbone is model and isinstance(model.layers[-1], keras.layers.Dense):  # a classifier's head
        held.pop(model.layers[-1].name, None)
    return held
