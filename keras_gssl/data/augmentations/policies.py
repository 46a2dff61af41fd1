"""Augmentation policies for whole batches, as pure functions of seeds: AutoAugment and RandAugment.

All operations are made on all images at once: those that are not an image's own with amounts that change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import COUNT, Bounds
from keras_gssl.data.augmentations import colour, geometry
from keras_gssl.data.augmentations.base import Draw, ImageAugmentation

#: AutoAugment's pairs of operations, three pairs to a line: name, probability in tenths, magnitude 0-9.
_CIFAR = """
    invert 1 7        contrast 2 6      rotate 7 2        translate_x 3 9   sharpness 8 1     sharpness 9 3
    shear_y 5 8       translate_y 7 9   autocontrast 5 8  equalize 9 2      shear_y 2 7       posterize 3 7
    saturation 4 3    brightness 6 7    sharpness 3 9     brightness 7 9    equalize 6 5      equalize 5 1
    contrast 6 7      sharpness 6 5     saturation 7 7    translate_x 5 8   equalize 3 7      autocontrast 4 8
    translate_y 4 3   sharpness 2 6     brightness 9 6    saturation 2 8    solarize 5 2      invert 0 3
    equalize 2 0      autocontrast 6 0  equalize 2 8      equalize 6 4      saturation 9 9    equalize 6 6
    autocontrast 8 4  solarize 2 8      brightness 1 3    saturation 7 0    solarize 4 5      autocontrast 9 3
    translate_y 9 9   translate_y 7 9   autocontrast 9 2  solarize 8 3      equalize 8 8      invert 1 3
    translate_y 7 9   autocontrast 9 1
"""
_words = _CIFAR.split()
_operations = list(zip(_words[::3], map(int, _words[1::3]), map(int, _words[2::3]), strict=True))
CIFAR_POLICY = tuple(zip(_operations[::2], _operations[1::2], strict=True))
# What each operation changes for an image, behind the six numbers of the matrix; and what changes nothing.
_FACTORS, _SWITCHES = ("brightness", "contrast", "saturation", "sharpness"), ("autocontrast", "equalize")
_AMOUNTS = ("threshold", "bits", *_FACTORS, *_SWITCHES)
_NEUTRAL = dict(zip(_AMOUNTS, (256, 8, 1, 1, 1, 1, 0, 0), strict=True))
#: RandAugment's operations.
RAND_OPERATIONS = ("identity", "solarize", "posterize", *_FACTORS, *_SWITCHES, *geometry.OPERATIONS)
MAGNITUDE = Bounds(least=0, most=30, whole=True)


@keras.saving.register_keras_serializable(package="keras_gssl")
class AutoAugment(ImageAugmentation):
    """The policy learned on CIFAR-10: one of 25 pairs of operations for every image, each made with its probability.

    Magnitudes are spaced evenly over the paper's ranges; rotations, shears and shifts go either way. What comes in from
    outside of the image is mid-grey (128).

    Example:

    >>> gssl.data.AutoAugment()(tf.zeros((4, 32, 32, 3), tf.uint8), [1, 2]).shape
    TensorShape([4, 32, 32, 3])

    Reference:
        "AutoAugment: Learning Augmentation Policies from Data" (arXiv 1805.09501), tables 6 and 7.
    """

    def augment(self, images: tf.Tensor, draw: Draw) -> tf.Tensor:
        choices, dice, ways = draw((), len(CIFAR_POLICY)), draw((2,), 10), draw((2,), 2)
        for stage, operations in enumerate(zip(*CIFAR_POLICY, strict=True)):
            settings = [(name, magnitude / 9, 0.1 + 1.8 * magnitude / 9) for name, _, magnitude in operations]
            # The last row is for the images that are left as they are.
            table = _table([*settings, ("identity", 0, 1)], images.shape)
            made = dice[:, stage] < tf.gather(tf.constant([tenths for _, tenths, _ in operations]), choices)
            rows = tf.where(made, choices, len(operations))
            images = _operate(images, tf.gather_nd(table, tf.stack([rows, ways[:, stage]], 1)))
        return images


@keras.saving.register_keras_serializable(package="keras_gssl")
class RandAugment(ImageAugmentation):
    """Operations drawn uniformly from 14, one after the other, all of the same magnitude.

    Magnitude 30 is the far end of AutoAugment's ranges. All but solarizing and posterizing go either way: at magnitude
    9 an image gets 0.73 or 1.27 of its contrast. Equalizing and stretching the contrast have no magnitude.

    Args:
        num_ops: Operations for every image, at least 1.
        magnitude: Whole number 0-30.

    Example:

    >>> gssl.data.RandAugment(num_ops=2, magnitude=9)(tf.zeros((4, 32, 32, 3), tf.uint8), [1, 2]).shape
    TensorShape([4, 32, 32, 3])

    Reference:
        "RandAugment: Practical automated data augmentation with a reduced search space" (arXiv 1909.13719), section 3.
    """

    def __init__(self, num_ops: int = 2, magnitude: int = 9):
        self.num_ops = int(COUNT.check("RandAugment num_ops", num_ops))
        self.magnitude = int(MAGNITUDE.check("RandAugment magnitude", magnitude))

    def augment(self, images: tf.Tensor, draw: Draw) -> tf.Tensor:
        drawn = tf.stack([draw((self.num_ops,), len(RAND_OPERATIONS)), draw((self.num_ops,), 2)], 2)
        settings = [(name, self.magnitude / 30, 1 + 0.9 * self.magnitude / 30) for name in RAND_OPERATIONS]
        amounts = tf.gather_nd(_table(settings, images.shape, signed_factors=True), drawn)
        for stage in range(self.num_ops):
            images = _operate(images, amounts[:, stage])
        return images

    def get_config(self) -> dict[str, Any]:
        return {"num_ops": self.num_ops, "magnitude": self.magnitude}


def _table(settings: Sequence[tuple[str, float, float]], shape: Any, signed_factors: bool = False) -> tf.Tensor:
    """Amounts of operations given as (name, strength 0-1, factor), float64, shape `(operations, 2 ways, 14)`."""

    def amounts(name: str, strength: float, factor: float, way: int) -> list[float]:
        matrix = geometry.OPERATIONS.get(name, lambda *_: geometry.IDENTITY)(way * strength, *shape[1:3])
        own = {
            "invert": {"threshold": 0},
            "solarize": {"threshold": 256 - round(256 * strength)},
            "posterize": {"bits": 8 - round(4 * strength)},
            **{each: {each: 1 + way * (factor - 1) if signed_factors else factor} for each in _FACTORS},
            **{each: {each: 1} for each in _SWITCHES},
        }
        return [*matrix, *(_NEUTRAL | own.get(name, {})).values()]

    return tf.constant([[amounts(*setting, way) for way in (1, -1)] for setting in settings], tf.float64)


def _operate(images: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
    """Change every image by its own amounts, float64, shape `(batch, 14)`; see `_table`."""
    own = dict(zip(_AMOUNTS, tf.unstack(tf.cast(amounts[:, 6:], tf.float32), axis=1), strict=True))
    # In this order compiled code calculates no level more than once. No image has two changes that would meet.
    greys = colour.grey(images)
    levels = colour.sharpness(tf.cast(images, tf.float32), own["sharpness"])
    images = tf.cast(colour.saturation(levels, own["saturation"], greys), tf.uint8)
    tables = colour.posterize(colour.solarize(colour.identity(), own["threshold"]), own["bits"])
    tables = colour.brightness(colour.contrast(tables, own["contrast"], colour.mean_level(greys)), own["brightness"])
    histograms = colour.histogram(images)
    for name, found in (("autocontrast", colour.autocontrast(histograms)), ("equalize", colour.equalize(histograms))):
        tables = tf.where(own[name][:, tf.newaxis, tf.newaxis] > 0, found, tables)
    return geometry.affine(colour.look_up(images, tables), amounts[:, :6])
