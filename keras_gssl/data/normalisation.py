"""From pixels to what a backbone takes, and what images on the wrong scale are told apart by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import ABOVE_ZERO
from keras_gssl.configured import Configured

LARGEST_NORMALISED = 30.0  # black and white pixels stay far below, unless a standard deviation is below 0.03
LARGEST_OF_SHARES = 2.0  # beyond what means and deviations of values 0-1 can be, also when they are rounded up
LARGEST_SHARE = 2.0  # of white; images on the scale 0-1 may be a little beyond 1 after resizing
NOT_FINITE = (
    "The images have values that are not finite (nan or inf): every loss would become nan. Replace them, for example "
    "with numpy.nan_to_num(images), or leave these images out."
)
WHITES = (1.0, 255.0, 65535.0)  # what the brightest pixel is, in floats and in whole numbers of 8 and 16 bits


@keras.saving.register_keras_serializable(package="keras_gssl")
class PixelNormalization(Configured):
    """`(pixels / scale - mean) / std`: how a network wants its images, and on which scale they come.

    Give it to `GatedSSLModel(preprocessing=...)`, and the model takes pixels, in `fit`, `evaluate`, `predict` and when
    it is exported. Backbones of `keras_gssl.applications` carry theirs.

    Args:
        mean: Of each channel, on the scale 0-1; or one number for all.
        std: Standard deviation likewise, above 0.
        scale: The value of white: 255 for pixels 0-255, 1 for 0-1.

    Example:

    >>> normalise = gssl.PixelNormalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    >>> normalise(np.full((1, 1, 1, 3), 255, "uint8")).numpy().ravel()
    array([2., 2., 2.], dtype=float32)
    """

    def __init__(self, mean: Sequence[float] | float, std: Sequence[float] | float, scale: float = 255.0):
        try:
            self.mean, self.std = (np.atleast_1d(np.asarray(each, "float64")) for each in (mean, std))
            self.scale = float(scale)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"mean, std and scale must be numbers; received mean={mean}, std={std}, scale={scale}."
            ) from error
        finite = np.isfinite(self.mean).all() and np.isfinite(self.std).all()
        if self.mean.ndim > 1 or self.std.ndim > 1 or not finite or not (self.std > 0).all():
            raise ValueError(
                f"mean and std are numbers per channel on the scale 0-1, std above 0; received mean={mean}, std={std}. "
                f"A channel of standard deviation 0 tells nothing: leave it out, or give it the std 1."
            )
        if max(np.abs(self.mean).max(), self.std.max()) > LARGEST_OF_SHARES:
            raise ValueError(
                f"mean and std are on the scale 0-1, whatever the pixels' own; received mean={mean}, std={std}: divide "
                f"them by 255, the value of white."
            )
        ABOVE_ZERO.check("scale, the value of white, 255 or 1,", self.scale)

    @classmethod
    def of(cls, images: Any, scale: float = 255.0) -> PixelNormalization:
        """With the mean and standard deviation of some images, an array of shape `(count, height, width, channels)`."""
        pixels = np.asarray(images, "float64").reshape(-1, np.shape(images)[-1]) / scale
        return cls(pixels.mean(axis=0), pixels.std(axis=0), scale)

    def __call__(self, images: Any) -> tf.Tensor:
        mean, std = (self.scale * each.astype("float32") for each in (self.mean, self.std))
        return (tf.cast(images, tf.float32) - mean.astype("float32")) / std.astype("float32")

    def complaint(self, smallest: float, largest: float, whole: bool = False) -> str | None:
        """What is wrong with images of these values, or None; `whole` says that they are of a whole-number type."""
        expected = f"The model expects pixels 0-{self.scale:g}"
        if not math.isfinite(smallest + largest):
            return NOT_FINITE
        # Resizing and noise overshoot a little; normalised images are on both sides of 0, and near it.
        if smallest < -self.scale / 2 or (smallest < 0 and largest <= LARGEST_NORMALISED < self.scale):
            return (
                f"{expected} and normalises them itself; received values from {smallest:.3g} to {largest:.3g}: give it "
                f"the pixels as they are."
            )
        if largest > LARGEST_SHARE * self.scale:
            white = next((each for each in WHITES if largest <= each), largest)
            return (
                f"{expected}, received values up to {largest:.4g}: divide the images by {white / self.scale:g}, or "
                f"make the model with PixelNormalization(..., scale={white:g})."
            )
        if self.scale > 1 and 0 < largest <= 1 and not whole:
            return (
                f"{expected}, received values from {smallest:.3g} to {largest:.3g}: multiply the images by "
                f"{self.scale:g}, or make the model with PixelNormalization(..., scale=1)."
            )
        return None

    def as_layer(self, **kwargs: Any) -> keras.layers.Layer:
        """The same as a stock Keras layer."""
        scale, offset = 1 / (self.scale * self.std), -self.mean / self.std
        return keras.layers.Rescaling(scale.tolist(), offset.tolist(), dtype="float32", **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "std": self.std.tolist(), "scale": self.scale}

    def __repr__(self) -> str:
        return f"PixelNormalization(mean={self.mean.tolist()}, std={self.std.tolist()}, scale={self.scale:g})"


def complaint_of_pixels(smallest: float, largest: float) -> str | None:
    """What is wrong with images of these values for a model that takes normalised images, or None."""
    if not math.isfinite(smallest + largest):
        return NOT_FINITE
    if largest <= LARGEST_NORMALISED:
        return None
    return (
        f"The model takes normalised images, received values from {smallest:.3g} to {largest:.4g}, which look like "
        f"pixels: make the model with preprocessing=PixelNormalization(mean, std), or normalise them as in training "
        f"(keras_gssl.data.normalise). For a backbone that wants such values, preprocessing=False hands them on as "
        f"they are."
    )


def normalise(images: tf.Tensor, mean: Sequence[float], std: Sequence[float]) -> tf.Tensor:
    """Pixels 0-255 to float32 with the given mean and standard deviation (per channel, scale 0-1) taken out."""
    return PixelNormalization(mean, std)(images)
