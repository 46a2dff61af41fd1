"""Affine transforms beside Pillow's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_gssl.data.augmentations import geometry
from tests.data.augmentations.pillow import SEEDS, by_pillow, pictures


@settings(max_examples=8, deadline=None)
@given(seed=SEEDS, fill=st.integers(0, 255), channels=st.sampled_from([1, 3]))
def test_any_affine_transform_equals_pillow(seed, fill, channels):
    images, random = pictures(seed, channels=channels), np.random.default_rng(seed)
    matrices = random.normal(geometry.IDENTITY, [0.5, 0.5, 3, 0.5, 0.5, 3], (6, 6))
    filling = fill if channels == 1 else (fill,) * 3

    def transformed(image, index):
        return image.transform(image.size, Image.Transform.AFFINE, matrices[index], fillcolor=filling)

    np.testing.assert_array_equal(geometry.affine(images, matrices, fill), by_pillow(images, transformed))


@pytest.mark.parametrize("name", geometry.OPERATIONS)
@pytest.mark.parametrize("size", [(32, 32), (9, 12)])
def test_geometric_operations_equal_pillow(name, size):
    strengths = np.concatenate([np.arange(-9, 10) / 9, np.arange(-30, 31) / 30])
    images = pictures(3, len(strengths), *size)
    matrices = geometry.OPERATIONS[name](strengths, *size)

    def transformed(image, index):
        if name == "rotate":
            return image.rotate(30 * strengths[index], fillcolor=(128,) * 3)
        return image.transform(image.size, Image.Transform.AFFINE, matrices[index], fillcolor=(128,) * 3)

    np.testing.assert_array_equal(geometry.affine(images, matrices), by_pillow(images, transformed))


def test_matrices_are_what_they_say():
    assert geometry.shear_x(0.3).tolist() == [1, 0.3, 0, 0, 1, 0]
    assert geometry.shear_y([0.3])[0].tolist() == [1, 0, 0, 0.3, 1, 0]
    assert geometry.translate_x(2).tolist() == [1, 0, 2, 0, 1, 0]
    assert geometry.translate_y([[2]]).shape == (1, 1, 6)
    images = pictures(1, height=7, width=7)
    for turns in range(4):
        turned = geometry.affine(images, np.tile(geometry.rotate(90 * turns, 7, 7), (6, 1)))
        np.testing.assert_array_equal(turned, np.rot90(images, turns, (1, 2)))
