"""Names of backbones."""

from __future__ import annotations

import re

#: Our own, beside the CIFAR ResNets.
OWN = ("resnet18_imagenet", "resnet18_small")
#: Of presets of keras-hub.
PREFIX = "keras_hub:"


def check_backbone_name(name: str) -> None:
    """Raise `ValueError` unless `make_backbone` knows the name."""
    cifar = re.fullmatch(r"resnet(\d+)", name)
    if name in OWN or (cifar and int(cifar[1]) >= 8 and (int(cifar[1]) - 2) % 6 == 0):
        return
    if name.startswith(PREFIX) and name != PREFIX:
        return
    # Keras is asked when a name is none of ours: it takes seconds to load, and a command line is read without it.
    from keras_gssl.models.applications import application_names

    if name not in application_names():
        raise ValueError(
            f"backbone must be resnet18_imagenet, resnet18_small, a CIFAR ResNet of 6n + 2 layers (resnet8, "
            f"resnet14, resnet20, resnet32, resnet44, ...), a network of keras.applications (MobileNetV2, ...) or "
            f"keras_hub:PRESET; received {name!r}"
        )
