"""Operations on colours beside Pillow's."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gssl.data.augmentations import colour
from tests.data.augmentations.pillow import PILLOW, SEEDS, by_pillow, pictures


def constant_tables(change):
    return lambda images, amounts: colour.look_up(images, change(colour.identity(), amounts))


def contrast(images, factors):
    means = colour.mean_level(colour.grey(images))
    return colour.look_up(images, colour.contrast(colour.identity(), factors, means))


def saturation(images, factors):
    return tf.cast(colour.saturation(tf.cast(images, tf.float32), factors, colour.grey(images)), tf.uint8)


def sharpness(images, factors):
    return tf.cast(colour.sharpness(tf.cast(images, tf.float32), factors), tf.uint8)


FACTORS = (0, 250, lambda drawn: drawn / 100)
#: Name: (ours, (least, most, amount of what was drawn between)).
COLOURS = {
    "invert": (lambda images, _: colour.look_up(images, colour.invert(colour.identity())), (0, 0, int)),
    "solarize": (constant_tables(colour.solarize), (0, 256, int)),
    "posterize": (constant_tables(colour.posterize), (1, 8, int)),
    "brightness": (constant_tables(colour.brightness), FACTORS),
    "contrast": (contrast, FACTORS),
    "saturation": (saturation, FACTORS),
    "sharpness": (sharpness, FACTORS),
    "autocontrast": (
        lambda images, _: colour.look_up(images, colour.autocontrast(colour.histogram(images))),
        (0, 0, int),
    ),
    "equalize": (lambda images, _: colour.look_up(images, colour.equalize(colour.histogram(images))), (0, 0, int)),
}


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("channels", [1, 3])
@settings(max_examples=6, deadline=None)
@given(seed=SEEDS, data=st.data(), size=st.sampled_from([(2, 3), (9, 12), (32, 32)]))
def test_colours_equal_pillow(name, channels, seed, data, size):
    ours, (least, most, amount) = COLOURS[name]
    images = pictures(seed, 6, *size, channels)
    amounts = [amount(each) for each in data.draw(st.lists(st.integers(least, most), min_size=6, max_size=6))]
    wanted = by_pillow(images, lambda image, index: PILLOW[name](image, amounts[index]))
    got = ours(tf.constant(images), amounts)
    assert got.dtype == tf.uint8
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
def test_compiled_factors_equal_pillow(name):
    """Compilers like to round products and sums together, which would show at whole numbers."""
    ours, _ = COLOURS[name]
    factors = np.concatenate([np.arange(250) / 100, np.random.default_rng(0).uniform(0, 3, 150)])
    images = pictures(2, len(factors))
    wanted = by_pillow(images, lambda image, index: PILLOW[name](image, factors[index]))
    np.testing.assert_array_equal(tf.function(ours, jit_compile=True)(images, factors), wanted)


def test_contrast_is_stretched_as_by_pillow_for_all_ranges():
    low, high = np.array([(low, high) for low in range(256) for high in range(low, 256)]).T
    histograms = np.zeros((len(low), 1, 256), "int32")
    histograms[np.arange(len(low)), 0, low] = histograms[np.arange(len(low)), 0, high] = 1
    scale = 255 / np.maximum(high - low, 1)[:, None]
    wanted = np.clip((np.arange(256) * scale + -low[:, None] * scale).astype(int), 0, 255)
    wanted = np.where((high > low)[:, None], wanted, np.arange(256))
    np.testing.assert_array_equal(colour.autocontrast(tf.constant(histograms))[:, 0], wanted)


def test_the_mean_of_a_large_image_is_counted_in_numbers_that_hold_it():
    assert colour.mean_level(tf.fill((1, 2100, 2100), 255)).numpy().tolist() == [255]
