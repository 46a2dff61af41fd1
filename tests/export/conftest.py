"""Finished runs on the digits, and their test images as files; made once, so nothing may change them."""

import dataclasses

import pytest
from PIL import Image

import keras_gssl as gssl
from keras_gssl.runs.data_reload import reload_data
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run on digits that is right more often than not."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "digits")
    settings = TrainingSettings(
        backbone="resnet8", epochs=12, batch_size=32, tasks=(), precision="float32", validation_freq=12
    )
    results = train(settings, gssl.data.digits_lt(0.5), folder, report_every=12)
    assert results.last_epoch.accuracy > 0.5
    return folder


@pytest.fixture(scope="session")
def data(run):
    return reload_data(run)


@pytest.fixture(scope="session")
def photos(tmp_path_factory, data):
    """Test images as PNG files, in folders named by class."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (image, label) in enumerate(zip(data.test_images[:40], data.test_labels, strict=False)):
        (folder / data.class_names[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / data.class_names[label] / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def validated(tmp_path_factory):
    """A run with validation images: a third of the test images, given as such."""
    data = gssl.data.digits_lt(0.3)
    images, labels = data.test_images, data.test_labels
    data = dataclasses.replace(
        data, test_images=images[:400], test_labels=labels[:400], validation_images=images[400:],
        validation_labels=labels[400:], source=None,
    )  # fmt: skip
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "validated")
    settings = TrainingSettings(
        backbone="resnet8", epochs=6, batch_size=32, tasks=(), loss="ce", precision="float32", validation_freq=2
    )
    results = train(settings, data, folder, report_every=6)
    assert results.best_epoch.note == "chosen on the validation images, by balanced accuracy"
    return folder, data
