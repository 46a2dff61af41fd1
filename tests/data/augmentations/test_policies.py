"""Augmentations of whole batches: their draws beside Pillow's operations, purity and configuration."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_gssl.data.augmentations import geometry, policies
from keras_gssl.data.augmentations.base import ImageAugmentation
from keras_gssl.data.augmentations.catalogue import AUGMENTATIONS
from keras_gssl.data.augmentations.cutout import Cutout
from keras_gssl.data.augmentations.policies import CIFAR_POLICY, RAND_OPERATIONS, AutoAugment, RandAugment
from keras_gssl.data.augmentations.resized_crop import RandomResizedCrop
from tests.data.augmentations.pillow import PILLOW, SEEDS, by_pillow, pictures

POLICIES = [AutoAugment(), RandAugment(1, 30), Cutout(5, fill=7), RandomResizedCrop((0.2, 0.8))]


def draws(shape_and_limits, seed, count):
    """What an augmentation draws, one after the other."""
    for index, (shape, limit) in enumerate(shape_and_limits):
        yield tf.random.stateless_uniform((count, *shape), [seed + index, 5], 0, limit, tf.int32, "philox").numpy()


def reference(image, name, strength, factor, way):
    """One operation of a policy, by Pillow."""
    if name == "identity":
        return image
    if name == "rotate":
        return image.rotate(way * 30 * strength, fillcolor=(128,) * 3)
    if name in geometry.OPERATIONS:
        matrix = geometry.OPERATIONS[name](way * strength, image.height, image.width)
        return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=(128,) * 3)
    amounts = {"solarize": 256 - round(256 * strength), "posterize": 8 - round(4 * strength)}
    return PILLOW[name](image, amounts.get(name, factor))


@settings(max_examples=2, deadline=None)
@given(seed=SEEDS)
def test_auto_augment_equals_pillow(seed):
    images = pictures(seed, 300)
    choices, dice, ways = draws([((), 25), ((2,), 10), ((2,), 2)], seed, 300)

    def augmented(image, index):
        for stage, (name, tenths, magnitude) in enumerate(CIFAR_POLICY[choices[index]]):
            if dice[index, stage] < tenths:
                way = (1, -1)[ways[index, stage]]
                image = reference(image, name, magnitude / 9, round(0.1 + 0.2 * magnitude, 2), way)
        return image

    np.testing.assert_array_equal(AutoAugment()(images, [seed, 5]), by_pillow(images, augmented))


@settings(max_examples=4, deadline=None)
@given(seed=SEEDS, num_ops=st.integers(1, 3), magnitude=st.integers(0, 30))
def test_rand_augment_equals_pillow(seed, num_ops, magnitude):
    images = pictures(seed, 100)
    choices, ways = draws([((num_ops,), 14), ((num_ops,), 2)], seed, 100)

    def augmented(image, index):
        for choice, drawn in zip(choices[index], ways[index], strict=True):
            way = (1, -1)[drawn]
            image = reference(image, RAND_OPERATIONS[choice], magnitude / 30, round(1 + way * 0.03 * magnitude, 2), way)
        return image

    np.testing.assert_array_equal(RandAugment(num_ops, magnitude)(images, [seed, 5]), by_pillow(images, augmented))


def test_magnitude_zero_changes_nothing_that_has_a_magnitude():
    images = pictures(0, 400)
    choices, _ = draws([((1,), 14), ((1,), 2)], 1, 400)
    unchanged = (RandAugment(1, 0)(images, [1, 5]).numpy() == images).all((1, 2, 3))
    assert unchanged[[RAND_OPERATIONS[choice] not in ("autocontrast", "equalize") for choice in choices[:, 0]]].all()


def test_the_policy_is_the_published_one():
    assert len(CIFAR_POLICY) == 25 and len(RAND_OPERATIONS) == len(set(RAND_OPERATIONS)) == 14
    assert CIFAR_POLICY[3] == (("shear_y", 5, 8), ("translate_y", 7, 9))
    assert CIFAR_POLICY[24] == (("translate_y", 7, 9), ("autocontrast", 9, 1))
    first, second = (np.array([pair[stage][1] for pair in CIFAR_POLICY]) for stage in range(2))
    assert first.sum() == 134 and second.sum() == 131


def test_sub_policies_are_drawn_evenly(monkeypatch):
    count, seen, policy = 25_000, [], AutoAugment()
    augment = policy.augment

    def watched(images, draw):
        return augment(images, lambda shape, limit: seen.append(draw(shape, limit)) or seen[-1])

    monkeypatch.setattr(policy, "augment", watched)
    monkeypatch.setattr(policies, "_operate", lambda images, amounts: images)
    policy(tf.zeros((count, 1, 1, 1), tf.uint8), [8, 9])
    choices, dice, ways = seen
    for drawn, limit in ((choices, 25), (dice, 10), (ways, 2)):
        shares = np.bincount(np.ravel(drawn), minlength=limit) / drawn.numpy().size
        # Five standard deviations of the share of a draw of this size.
        assert np.abs(shares - 1 / limit).max() < 5 * np.sqrt(1 / limit / count)


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 20), fill=st.integers(0, 255))
def test_cutout_covers_a_square_around_each_pixel_alike(seed, size, fill):
    images = np.full((40, 9, 12, 3), 255 - fill, "uint8")
    images[images == fill] += 1
    cut = (Cutout(size, fill)(images, [seed, 5]).numpy() == fill).all(-1)
    rows, columns = draws([((1,), 9), ((1,), 12)], seed, 40)
    for image, row, column in zip(cut, rows[:, 0], columns[:, 0], strict=True):
        top, left = row - size // 2, column - size // 2
        wanted = np.zeros((9, 12), bool)
        wanted[max(top, 0) : top + size, max(left, 0) : left + size] = True
        np.testing.assert_array_equal(image, wanted)
        assert image[row, column]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@settings(max_examples=3, deadline=None)
@given(seed=SEEDS, channels=st.sampled_from([1, 3]), dtype=st.sampled_from(["int32", "int64"]))
def test_policies_are_pure_functions_of_the_seed(policy, seed, channels, dtype):
    images, key = pictures(seed, 20, channels=channels), tf.constant([seed, 3], dtype)
    once, again = policy(images, key), policy(tf.constant(images), key)
    assert once.dtype == tf.uint8 and once.shape == images.shape
    np.testing.assert_array_equal(once, again)
    assert (once.numpy() != policy(images, key + 1000).numpy()).any()


@pytest.mark.parametrize("policy", [AutoAugment(), Cutout(5, fill=7), RandomResizedCrop()], ids=repr)
def test_compiled_they_give_the_same(policy):
    images, seed = pictures(4, 64), tf.constant([2, 3], tf.int64)
    np.testing.assert_array_equal(tf.function(policy, jit_compile=True)(images, seed), policy(images, seed))


def test_compiled_rand_augment_draws_the_same(monkeypatch):
    """What it does with them is what AutoAugment does, and long to compile."""
    monkeypatch.setattr(policies, "_operate", lambda images, amounts: tf.cast(100 * amounts, tf.int32))
    monkeypatch.setattr(tf, "ensure_shape", lambda amounts, shape: amounts)
    policy, images, seed = RandAugment(1, 9), pictures(4, 64), tf.constant([2, 3], tf.int64)
    np.testing.assert_array_equal(tf.function(policy, jit_compile=True)(images, seed), policy(images, seed))


def test_batches_of_unknown_size_in_a_data_set():
    images = pictures(5, 10)
    data = tf.data.Dataset.from_tensor_slices(images).batch(4).enumerate()
    data = data.map(lambda number, batch: RandAugment(1)(batch, tf.stack([number, number])))
    assert data.element_spec.shape.as_list() == [None, 9, 12, 3]
    assert [len(batch) for batch in data] == [4, 4, 2]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_configuration_survives(policy):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(policy))
    assert type(again) is type(policy) and again.get_config() == policy.get_config() and repr(again) == repr(policy)
    assert type(policy).from_config(policy.get_config()).get_config() == policy.get_config()


def test_names_and_representations():
    assert [repr(kind()) for kind in AUGMENTATIONS.values()] == [
        "RandomResizedCrop(area=(0.25, 1.0), ratio=(0.75, 1.3333333333333333))",
        "AutoAugment()",
        "RandAugment(num_ops=2, magnitude=9)",
        "Cutout(size=16, fill=0)",
    ]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: RandAugment(num_ops=0), "RandAugment num_ops must be at least 1, received 0"),
        (lambda: RandAugment(magnitude=31), "magnitude must be at least 0 and at most 30, received 31"),
        (lambda: RandAugment(magnitude=1.5), "magnitude must be a whole number, received 1.5"),
        (lambda: Cutout(size=0), "Cutout size must be at least 1, received 0"),
        (lambda: Cutout(fill=True), "received True"),
        (lambda: Cutout()(np.zeros((1, 4, 4, 3), "float32"), [1, 2]), "uint8 images .* received float32"),
        (lambda: AutoAugment()(np.zeros((4, 4, 3), "uint8"), [1, 2]), r"received uint8 of shape \(4, 4, 3\)"),
        (lambda: AutoAugment()(np.zeros((1, 4, 4, 2), "uint8"), [1, 2]), "1 or 3"),
        (
            lambda: Cutout()(np.zeros((1, 4, 4, 3), "uint8"), 1),
            "seed of shape \\(2,\\), received int32 of shape \\(\\)",
        ),
        (lambda: Cutout()(np.zeros((1, 4, 4, 3), "uint8"), [1.0, 2.0]), "received float32"),
    ],
)
def test_mistakes_are_named(mistake, message):
    with pytest.raises(ValueError, match=message) as caught:
        mistake()
    assert len(str(caught.value).splitlines()) == 1


def test_a_class_without_augment_says_so():
    with pytest.raises(NotImplementedError, match="ImageAugmentation must implement augment"):
        ImageAugmentation()(np.zeros((1, 4, 4, 3), "uint8"), [1, 2])
