"""The augmentations that can be chosen by name."""

from __future__ import annotations

from keras_gssl.data.augmentations.base import ImageAugmentation
from keras_gssl.data.augmentations.cutout import Cutout
from keras_gssl.data.augmentations.policies import AutoAugment, RandAugment
from keras_gssl.data.augmentations.resized_crop import RandomResizedCrop

AUGMENTATIONS: dict[str, type[ImageAugmentation]] = {
    "resizedcrop": RandomResizedCrop,
    "autoaugment": AutoAugment,
    "randaugment": RandAugment,
    "cutout": Cutout,
}
