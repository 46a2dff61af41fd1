"""Long-tailed subsets, sources and the input pipeline."""

import itertools
import os
import socket
import time

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_gssl as gssl
from keras_gssl.data import long_tail, pipeline, sources
from keras_gssl.data.pipeline import CLASS_KEY

needs_cifar10 = pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "cifar10")),
    reason="set TFDS_DATA_DIR to a folder with a prepared cifar10 to run this",
)


@pytest.mark.parametrize("ratio", ["0.01", "0.02", "0.05", "0.1", "1.0"])
@pytest.mark.parametrize(("dataset", "classes", "most"), [("cifar10", 10, 5000), ("cifar100", 100, 500)])
def test_counts_and_subset_equal_golden(golden, dataset, classes, most, ratio):
    values = golden["long_tail"][f"{dataset}_{ratio}"]
    counts = gssl.data.long_tail_counts(classes, most, float(ratio))
    assert counts == values["counts"] and sum(counts) == values["total"]
    labels = np.repeat(np.arange(classes), most)
    positions = gssl.data.long_tail_positions(labels, counts)
    for index, first in values["subset_first10_pos_per_class"].items():
        assert positions[int(index)][:10].tolist() == first
    assert gssl.data.subset_hash(np.concatenate(positions)) == values["subset_positions_sha256_int64le"]


def test_step_imbalance():
    assert gssl.data.long_tail_counts(5, 100, 0.1, "step") == [100, 100, 10, 10, 10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 100, 0.0), "above 0"),
        ((10, 100, 0.001), "no image left"),
        ((10, 100, 0.1, "exponential"), "'exp' or 'step'"),
    ],
)
def test_impossible_tails_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        gssl.data.long_tail_counts(*arguments)


def test_too_few_images_are_named():
    with pytest.raises(ValueError, match="Class 1 has 2 images, 3 were asked for"):
        long_tail.long_tail_indices(np.array([0, 0, 0, 1, 1]), [3, 3])


@needs_cifar10
def test_cifar10_is_the_published_one_in_its_order(golden):
    data = gssl.data.cifar10_lt(0.01)
    values = golden["long_tail"]["cifar10_0.01"]
    assert data.class_counts == values["counts"]
    assert data.test_images.shape == (10_000, 32, 32, 3) and np.bincount(data.test_labels).tolist() == [1000] * 10
    # The published order begins with a frog, a truck, a truck, a deer, a car; the test set with a cat, two ships.
    assert [data.class_names[label] for label in data.test_labels[:3]] == ["cat", "ship", "ship"]
    # Class by class, the kept images are those at the golden positions among the class' images in that order.
    starts = np.cumsum([0, *data.class_counts])
    assert all((np.diff(data.train_labels[a:b]) == 0).all() for a, b in itertools.pairwise(starts))


def test_without_data_or_network_one_line_within_seconds(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    start = time.monotonic()
    with pytest.raises(gssl.errors.DataNotFoundError) as caught:
        gssl.data.cifar100_lt(data_dir=str(tmp_path))
    assert time.monotonic() - start < 20
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (str(tmp_path), "TFDS_DATA_DIR", "quickstart", "no network in this test"))


def test_digits_need_no_download_and_are_coloured():
    data = gssl.data.digits_lt(0.05)
    assert data.class_counts == [110, 78, 56, 40, 29, 20, 14, 10, 7, 5]
    assert data.image_shape == (32, 32, 3) and len(data.test_labels) == 1797 - 1100
    assert (data.train_images.std(axis=(0, 1, 2)) > 30).all()
    assert np.abs(data.train_images[..., 0].astype(int) - data.train_images[..., 1]).mean() > 10
    np.testing.assert_array_equal(data.train_images, gssl.data.digits_lt(0.05).train_images)


def batches(training_set, first_epoch, count):
    return [
        (images.numpy(), {name: label.numpy() for name, label in labels.items()})
        for images, labels in training_set.from_epoch(first_epoch).take(count)
    ]


@pytest.mark.parametrize("jit_compile", [False, True])
def test_augmentation_in_the_step_is_that_of_the_pipeline(small_data, tasks, jit_compile):
    """As on a GPU: bytes go in, and even under XLA the draws are the same."""
    training_set = small_data.train(16, tasks, seed=3)
    augment = tf.function(training_set.augment, jit_compile=jit_compile)
    ready = training_set.from_epoch(1).take(5)
    for (images, labels), raw in zip(ready, training_set.from_epoch(1, augmented=False), strict=False):
        assert raw[0].dtype == "uint8"
        augmented, its_labels = augment(*raw)
        np.testing.assert_allclose(augmented, images, atol=1e-5)
        assert labels.keys() == its_labels.keys()
        for name in labels:
            np.testing.assert_array_equal(labels[name], its_labels[name])


def assert_equal_batches(ones, others):
    for (images, labels), (other_images, other_labels) in zip(ones, others, strict=True):
        np.testing.assert_array_equal(images, other_images)
        assert labels.keys() == other_labels.keys()
        for name in labels:
            np.testing.assert_array_equal(labels[name], other_labels[name])


def test_batches_are_a_function_of_seed_epoch_and_step(small_data, tasks, monkeypatch):
    make = lambda seed=3: small_data.train(16, tasks, seed)  # noqa: E731
    steps = make().steps_per_epoch
    assert steps == 4
    run = batches(make(), 0, 3 * steps)
    assert_equal_batches(run, batches(make(), 0, 3 * steps))
    assert_equal_batches(run[2 * steps :], batches(make(), 2, steps))
    monkeypatch.setattr(pipeline, "PARALLEL_CALLS", 1)
    assert_equal_batches(run, batches(make(), 0, 3 * steps))
    other_seed = batches(make(4), 0, 1)
    assert (run[0][0] != other_seed[0][0]).any()
    assert (run[0][0] != run[steps][0]).any()


def test_every_epoch_shows_every_image_once(small_data):
    training_set = small_data.train(16, seed=1)
    for epoch in range(2):
        labels = np.concatenate([labels[CLASS_KEY] for _, labels in batches(training_set, epoch, 4)])
        assert np.bincount(labels).tolist() == small_data.class_counts
        assert len(labels) == 50


def test_without_augmentation_images_are_normalised_pixels(small_data):
    data = gssl.data.ImageData(**{**small_data.__dict__, "crop_padding": 0, "horizontal_flip": False})
    images, _labels = batches(data.train(50), 0, 1)[0]
    expected = (data.train_images / 255 - data.mean) / data.std
    np.testing.assert_allclose(np.sort(images, axis=0), np.sort(expected, axis=0), atol=1e-5)
    test_images, test_labels = next(iter(data.test(24)))
    np.testing.assert_allclose(test_images, (data.test_images / 255 - data.mean) / data.std, atol=1e-5)
    np.testing.assert_array_equal(test_labels, data.test_labels)


@settings(max_examples=15, deadline=None)
@given(padding=st.integers(1, 4), seed=st.integers(0, 2**31 - 1))
def test_crop_equals_numpy(padding, seed):
    images = np.random.default_rng(seed).integers(1, 256, (3, 6, 6, 3)).astype("uint8")
    out = pipeline.random_crop(tf.constant(images), padding, [seed, 0], [seed, 1]).numpy()
    padded = np.pad(images, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    for index in range(3):
        windows = [
            padded[index, row : row + 6, column : column + 6]
            for row in range(2 * padding + 1)
            for column in range(2 * padding + 1)
        ]
        assert any((out[index] == window).all() for window in windows)


def test_channels_are_permuted_on_normalised_values(small_data):
    """Trap: permuting pixels and then normalising each channel by its own statistics is not the same."""
    data = gssl.data.ImageData(
        **{
            **small_data.__dict__,
            "crop_padding": 0,
            "horizontal_flip": False,
            "mean": (0.1, 0.5, 0.9),
            "std": (0.1, 0.2, 0.4),
        }
    )
    altered, labels = batches(data.train(50, [gssl.ShuffleChannels()], seed=2), 0, 1)[0]
    plain, _ = batches(data.train(50, seed=2), 0, 1)[0]
    assert (labels["channels"] != 0).any()
    np.testing.assert_array_equal(np.sort(altered, axis=-1), np.sort(plain, axis=-1))


def test_arrays_of_the_wrong_kind_are_named():
    pictures, labels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), "uint8"), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match="uint8 pixels"):
        gssl.data.from_arrays(pictures / 255, labels, pictures, labels)
    with pytest.raises(ValueError, match="4 test_images but 3 test_labels"):
        gssl.data.from_arrays(pictures, labels, pictures, labels[:3])
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        gssl.data.from_arrays(pictures, labels, pictures, labels).train(0)


def test_sources_name_their_error_a_users_mistake():
    assert issubclass(sources.DataNotFoundError, gssl.errors.UserError)
