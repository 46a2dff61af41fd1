"""Random resized crops: the parts they take, and their levels beside Pillow's."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

import keras_gssl as gssl
from keras_gssl.data.augmentations import resized_crop
from keras_gssl.data.augmentations.resized_crop import enlarge
from tests.data.augmentations.pillow import SEEDS, by_pillow, pictures


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, height=st.integers(1, 40), width=st.integers(1, 40), channels=st.sampled_from([1, 3]))
@example(seed=1, height=331, width=500, channels=3)
def test_parts_are_enlarged_as_by_pillow(seed, height, width, channels):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (12, height, width, channels)).astype("uint8")
    sides = random.integers(1, (height + 1, width + 1), (12, 2))
    starts = random.integers(0, (height, width) - sides + 1)

    def enlarged(image, index):
        (top, left), (rows, columns) = starts[index], sides[index]
        part = image.crop((left, top, left + columns, top + rows))
        return part.resize((width, height), Image.Resampling.BILINEAR)

    np.testing.assert_array_equal(enlarge(images, starts, sides), by_pillow(images, enlarged))


@pytest.fixture
def parts(monkeypatch):
    """Function of a crop and a size: starts and sides of the parts that it takes of 2,000 images."""
    taken = []
    monkeypatch.setattr(resized_crop, "enlarge", lambda images, *part: taken.extend(part) or images)

    def parts(crop, height, width):
        crop(tf.zeros((2000, height, width, 1), tf.uint8), [1, 2])
        return [each.numpy() for each in taken]

    return parts


def test_areas_ratios_and_places_are_those_asked_for(parts):
    starts, sides = parts(gssl.RandomResizedCrop((0.3, 0.6), (0.5, 2.0)), 200, 200)
    areas, ratios = sides.prod(1) / 200**2, sides[:, 1] / sides[:, 0]
    assert 0.29 < areas.min() < 0.31 and 0.59 < areas.max() < 0.61
    assert 0.49 < ratios.min() < 0.54 and 1.9 < ratios.max() < 2.04
    # Uniform: means and standard deviations within five standard errors of so many.
    for drawn, low, high in ((areas, 0.3, 0.6), (np.log(ratios), -np.log(2), np.log(2))):
        assert abs(drawn.mean() - (low + high) / 2) < 0.033 * (high - low)
        assert abs(drawn.std() - (high - low) / 12**0.5) < 0.033 * (high - low)
    shares = (starts + 0.5) / (201 - sides)
    assert starts.min() == 0 and (starts + sides).max() == 200
    np.testing.assert_allclose(shares.mean(0), 0.5, atol=0.033)


def test_no_part_is_larger_than_the_image(parts):
    starts, sides = parts(gssl.RandomResizedCrop((0.9, 1.0), (0.1, 10.0)), 20, 30)
    assert (starts >= 0).all() and (starts + sides <= (20, 30)).all() and (sides >= 1).all()


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (1, 1)])
def test_all_of_an_image_is_the_image(size):
    images = pictures(3, 10, *size)
    ratio = size[1] / size[0]
    np.testing.assert_array_equal(gssl.RandomResizedCrop((1, 1), (ratio, ratio))(images, [1, 2]), images)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"area": 0.5}, "RandomResizedCrop area must be two numbers, the smallest and the largest; received 0.5"),
        ({"area": (0.0, 1.0)}, "area must be above 0 and at most 1, received 0"),
        ({"area": (0.5, 1.5)}, "area must be above 0 and at most 1, received 1.5"),
        ({"area": (0.8, 0.5)}, "must be the smallest and the largest, received 0.8 and 0.5"),
        ({"ratio": (1, 2, 3)}, r"received \(1, 2, 3\)"),
        ({"ratio": (-1, 2)}, "ratio must be above 0, received -1"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        gssl.RandomResizedCrop(**arguments)
    assert len(str(caught.value).splitlines()) == 1
