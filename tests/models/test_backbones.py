"""Parameter counts and geometry of the backbones."""

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.models import backbones


def trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (backbones.resnet32, "resnet32 backbone only"),
        (lambda: backbones.resnet18(stem="imagenet"), "ResNet18 7x7 backbone"),
        (lambda: backbones.resnet18(stem="small"), "ResNet18 3x3 backbone"),
    ],
)
def test_backbone_parameters(golden, make, key):
    assert trainable(make()) == golden["param_counts"][key]


LOROT, FLIP, CHANNELS = gssl.LoRotE, gssl.Flip, gssl.ShuffleChannels


@pytest.mark.parametrize("heads", ["cosine", "dense"])
@pytest.mark.parametrize("classes", [10, 100])
@pytest.mark.parametrize(
    ("tasks", "key"),
    [
        ((), "LDAM resnet32"),
        ((LOROT,), "LoRot resnet32 16"),
        ((LOROT, FLIP), "Moe1flip"),
        ((LOROT, CHANNELS), "Moe1sc"),
        ((LOROT, FLIP, CHANNELS), "Moe1"),
    ],
)
def test_model_parameters(golden, tasks, key, heads, classes):
    model = gssl.GatedSSLModel(backbones.resnet32(), classes, [task() for task in tasks], heads=heads)
    kind = "norm" if heads == "cosine" else "linear"
    assert trainable(model) == golden["param_counts"][f"{key} C={classes} {kind}"]


def test_resnet18_model_parameters(golden):
    tasks = [LOROT(), FLIP(), CHANNELS()]
    model = gssl.GatedSSLModel(backbones.resnet18(), 200, tasks, heads="dense")
    assert trainable(model) == golden["param_counts"]["ResNet18 7x7 Moe1"]


def test_strided_convolutions_pad_both_sides():
    """Keras' padding "same" would look one pixel further down and right: check a stride-2 layer against NumPy."""
    model = backbones.resnet_cifar(8, (8, 8, 3))
    conv = model.get_layer("stage2_block1_conv1")
    before = keras.Model(model.input, conv._inbound_nodes[0].arguments.keras_tensors[0])
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 3)).astype("float32")
    padded = before.predict(image, verbose=0)[0]
    assert padded.shape == (10, 10, 16)
    assert not padded[0].any() and not padded[-1].any() and not padded[:, 0].any() and not padded[:, -1].any()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="6n \\+ 2"):
        backbones.resnet_cifar(31)
    with pytest.raises(ValueError, match="stem must be"):
        backbones.resnet18(stem="big")
