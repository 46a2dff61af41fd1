"""Labels, names and statistics as people have them."""

import numpy as np
import pytest

import keras_gssl as gssl

LABELS = np.array([0, 1, 2, 0, 1, 0])


def made(labels=LABELS, test_labels=LABELS[:3], images=None, **options):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("uint8") if images is None else images
    return gssl.data.from_arrays(images, labels, images[:3], test_labels, **options)


@pytest.mark.parametrize(
    "labels",
    [LABELS, LABELS.tolist(), LABELS[:, None], LABELS.astype("float32"), LABELS.astype("uint8"), np.eye(3)[LABELS]],
    ids=["integers", "list", "column", "whole floats", "uint8", "one-hot"],
)
def test_labels_of_every_kind_are_the_same(labels):
    data = made(labels, LABELS[:3])
    np.testing.assert_array_equal(data.train_labels, LABELS)
    assert data.train_labels.dtype == "int64" and data.class_counts == [3, 2, 1] and data.class_names == ("0", "1", "2")


def test_one_hot_rows_tell_of_classes_without_pictures():
    assert made(np.eye(5)[LABELS], np.eye(5)[LABELS[:3]]).num_classes == 5


def test_names_as_labels():
    names = np.array(["cat", "dog", "ant"])[LABELS]
    data = made(names, names[:3])
    assert data.class_names == ("ant", "cat", "dog") and data.train_labels.tolist() == [1, 2, 0, 1, 2, 1]
    ordered = made(names, names[:3], class_names=["cat", "dog", "ant"])
    np.testing.assert_array_equal(ordered.train_labels, LABELS)


def test_names_and_statistics_as_arrays():
    data = made(class_names=np.unique(["a", "b", "c"]), mean=np.full(3, 0.5), std=np.full(3, 0.25))
    assert data.class_names == ("a", "b", "c") and data.mean == (0.5, 0.5, 0.5) and data.std == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": LABELS + 0.5}, "one whole number from 0"),
        ({"labels": LABELS - 1}, "from -1 to 1"),
        ({"labels": np.eye(3)[LABELS] + 0.1}, "one 1 in each row"),
        ({"labels": np.ones((6, 3))}, "one 1 in each row"),
        ({"test_labels": np.array(["x", "y", "z"])}, "test_labels are names, such as 'x'"),
        ({"class_names": ["a", "b"]}, "Labels go up to 2, class_names has 2 names"),
        ({"class_names": ["a", "b", "a"]}, "'a' twice"),
        ({"labels": LABELS[:4]}, "6 train_images but 4"),
    ],
)
def test_labels_that_cannot_be_meant(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        made(**arguments)
    assert len(str(caught.value).splitlines()) == 1


def test_a_constant_channel_is_said():
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype("uint8")
    images[..., 2] = 7
    with pytest.raises(ValueError, match="Channel 2 of train_images has the same value in every pixel"):
        made(images=images)
    assert made(images=images, mean=[0.5] * 3, std=[0.2] * 3).std == (0.2, 0.2, 0.2)


def test_normalisation_is_what_it_says():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3)).astype("uint8")
    own = gssl.PixelNormalization.of(pixels)
    got = own(pixels).numpy()
    np.testing.assert_allclose(got.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(got.std(axis=(0, 1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(own.as_layer()(pixels.astype("float32")), got, atol=1e-5)
    np.testing.assert_allclose(gssl.PixelNormalization(own.mean, own.std, scale=1)(pixels / 255), got, atol=1e-5)
    for wrong in ({"std": 0.0}, {"std": -1.0}, {"mean": float("nan")}, {"scale": 0}):
        with pytest.raises(ValueError, match="received"):
            gssl.PixelNormalization(**{"mean": 0.5, "std": 0.2, **wrong})
