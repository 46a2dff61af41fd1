"""Shared by all tests: golden values, a small data set, a small model."""

import gc
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from keras_gssl.sharing import shares_of, usable_cores

if "PYTEST_XDIST_WORKER" in os.environ and hasattr(os, "sched_setaffinity"):
    # Cores of its own for each process: several TensorFlows on the same ones get into each other's way.
    shares = shares_of(usable_cores(), int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))  # which goes on where one has crashed
    os.sched_setaffinity(0, shares[number % len(shares)])

import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.backend import keras  # before the tests import TensorFlow, which would print its notices

GOLDEN = Path(__file__).parent / "golden"


def pytest_collection_finish():
    """All is imported: a million objects that garbage collection need not look through again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def left_alone():
    """TensorFlow keeps every graph that it has traced: what one file leaves is not looked through in all others."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def seeded():
    """Initial weights that are the same in every run: no test is to fail on a Tuesday."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def golden():
    """Inputs and outputs computed in float64 NumPy and checked against the reference implementations."""
    return json.loads((GOLDEN / "golden.json").read_text())


@pytest.fixture(scope="session")
def golden_transforms():
    return np.load(GOLDEN / "transforms.npz")


@pytest.fixture
def tasks():
    return [gssl.LoRotE(), gssl.Flip(), gssl.ShuffleChannels()]


@pytest.fixture(scope="session")
def small_data():
    """Three classes of 16x16 pictures that differ in colour, long-tailed."""
    random = np.random.default_rng(0)

    def pictures(labels):
        tint = np.eye(3)[labels][:, None, None, :] * 100
        return (random.uniform(0, 155, (len(labels), 16, 16, 3)) + tint).astype("uint8")

    train_labels = np.repeat([0, 1, 2], [30, 15, 5])
    test_labels = np.repeat([0, 1, 2], 8)
    return gssl.data.from_arrays(
        pictures(train_labels),
        train_labels,
        pictures(test_labels),
        test_labels,
        ["red", "green", "blue"],
        crop_padding=2,
    )


@pytest.fixture
def make_model(small_data):
    """Make a compiled model, by default a ResNet; arguments go to `GatedSSLModel`, `compile_args` to `compile`."""

    def make(compile_args=None, backbone=None, **arguments):
        arguments = {"num_classes": 3, **arguments}
        model = gssl.GatedSSLModel(backbone or gssl.backbones.resnet_cifar(8, (16, 16, 3)), **arguments)
        model.compile(
            **{
                "optimizer": gssl.SGD(0.05, momentum=0.9, weight_decay=2e-4),
                "loss": gssl.LDAMLoss(small_data.class_counts),
                "metrics": ["accuracy"],
                **(compile_args or {}),
            }
        )
        return model

    return make
