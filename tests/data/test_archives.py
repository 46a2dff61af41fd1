"""Data sets that come as arrays: MedMNIST's and Keras' `.npz`, CIFAR's batches, tensorflow-datasets; harmful ones."""

import os
import pickle

import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.data.pictures.archives import is_archive, read_archive
from keras_gssl.errors import UserError
from keras_gssl.recipes import image_folder
from keras_gssl.runs.data_reload import reload_data
from keras_gssl.runs.folder import RunFolder
from tests.made_up_cifar import prepare

RANDOM = np.random.default_rng(0)


def pictures(count, shape=(28, 28, 3), dtype="uint8"):
    return RANDOM.integers(0, 256, (count, *shape)).astype(dtype)


def med_mnist(path, shape=(28, 28, 3), **changed):
    parts = {"train": 40, "val": 10, "test": 20}
    arrays = {f"{part}_images": pictures(count, shape) for part, count in parts.items()}
    arrays |= {f"{part}_labels": (np.arange(count) % 4).astype("uint8")[:, None] for part, count in parts.items()}
    np.savez(path, **{**arrays, **changed})
    return arrays


def test_med_mnist_keeps_its_parts_and_its_pixels(tmp_path):
    arrays = med_mnist(tmp_path / "med.npz")
    data = gssl.data.image_arrays(str(tmp_path / "med.npz"), image_size=28, validation=0.3)
    np.testing.assert_array_equal(data.train_images, arrays["train_images"])
    np.testing.assert_array_equal(data.validation_images, arrays["val_images"])
    np.testing.assert_array_equal(data.test_labels, arrays["test_labels"][:, 0])
    assert data.class_names == ("0", "1", "2", "3") and data.class_counts == [10] * 4 and data.name == "med"


def test_grey_pictures_and_deep_ones_are_kept_right(tmp_path):
    arrays = med_mnist(tmp_path / "grey.npz", shape=(28, 28))
    data = gssl.data.image_arrays(str(tmp_path / "grey.npz"), image_size=28)
    np.testing.assert_array_equal(data.train_images, np.repeat(arrays["train_images"][..., None], 3, axis=-1))
    deep = (RANDOM.integers(0, 4096, (40, 28, 28))).astype("uint16")
    med_mnist(tmp_path / "deep.npz", shape=(28, 28), train_images=deep)
    data = gssl.data.image_arrays(str(tmp_path / "deep.npz"), image_size=28)
    assert np.abs(data.train_images[..., 0] - deep * (255 / 4095)).max() <= 1
    assert data.source["depth_range"] == [0, 4095]


def test_parts_that_are_not_there_are_drawn(tmp_path):
    np.savez(tmp_path / "keras.npz", x_train=pictures(60, (20, 30, 3)), y_train=np.arange(60) % 3)
    data = gssl.data.image_arrays(str(tmp_path / "keras.npz"), 16, test=0.25, validation=0.1)
    assert data.class_counts == [13] * 3 and np.bincount(data.test_labels).tolist() == [5] * 3
    assert np.bincount(data.validation_labels).tolist() == [2] * 3 and data.image_shape == (16, 16, 3)


def test_one_hot_rows_are_classes(tmp_path):
    med_mnist(tmp_path / "hot.npz", train_labels=np.eye(4, dtype="uint8")[np.arange(40) % 4])
    assert gssl.data.image_arrays(str(tmp_path / "hot.npz"), 28).class_counts == [10] * 4


class Harmful:
    def __reduce__(self):
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_labels": np.ones((40, 14), "uint8")}, "several labels per picture, or none"),
        ({"train_labels": np.zeros((40, 3), "uint8")}, "several labels per picture, or none"),
        ({"train_labels": np.full(40, 0.5)}, "labels must be whole numbers from 0, received float64"),
        ({"train_labels": np.full(40, -1)}, "labels must be whole numbers from 0"),
        ({"train_labels": np.arange(39)}, "a label each; received .* and 39 labels"),
        ({"train_images": pictures(40, (9,))}, r"must have the shape \(count, height, width\)"),
        ({"train_images": RANDOM.uniform(size=(40, 28, 28, 3))}, "Pictures must be uint8 pixels .* received float64"),
        ({"train_images": pictures(40, (3, 28, 28))}, r"Pictures must be .* of shape \(3, 28, 28\)"),
        (
            {"test_images": pictures(0), "test_labels": np.zeros(0, int)},
            "no pictures for training, or none for test",
        ),
        ({"train_labels": np.full(40, 3)}, "has no training picture of class '0'"),
        ({"train_labels": np.array([Harmful()] * 40, object)}, "is not an .npz file of plain arrays"),
    ],
)
def test_arrays_that_cannot_be_used_are_named(tmp_path, monkeypatch, arrays, message):
    monkeypatch.chdir(tmp_path)
    med_mnist(tmp_path / "med.npz", **arrays)
    with pytest.raises(UserError, match=message) as caught:
        gssl.data.image_arrays(str(tmp_path / "med.npz"), 28)
    assert "\n" not in str(caught.value) and not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY", b"text"])
def test_files_that_are_no_archives_are_named(tmp_path, content):
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(UserError, match="bad.npz"):
        read_archive(str(tmp_path / "bad.npz"))
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(UserError, match="expected arrays train_images and train_labels .* received weights"):
        read_archive(str(tmp_path / "other.npz"))


def cifar(folder, ten=True):
    """A folder as the batches are published, with few pictures."""
    folder.mkdir()
    images = {name: pictures(10, (3, 32, 32)) for name in ("data_batch_1", "test_batch")}
    label, names = (b"labels", b"label_names") if ten else (b"fine_labels", b"fine_label_names")

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))

    train = [f"data_batch_{i}" for i in range(1, 6)] if ten else ["train"]
    for name in (*train, "test_batch" if ten else "test"):
        pixels = images["test_batch" if name.startswith("test") else "data_batch_1"]
        write(name, {b"data": pixels.reshape(10, -1), label: (np.arange(10) % 2).tolist()})
    write("batches.meta" if ten else "meta", {names: [b"cat", b"dog"]})
    return images, write


@pytest.mark.parametrize("ten", [True, False])
def test_cifar_folders(tmp_path, ten):
    images, _ = cifar(tmp_path / ("cifar-10-batches-py" if ten else "cifar-100-python"), ten)
    assert is_archive(str(tmp_path)) and not is_archive(str(tmp_path / "else"))
    data = gssl.data.image_arrays(str(tmp_path), 32)
    np.testing.assert_array_equal(data.train_images[:10], images["data_batch_1"].transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(data.test_images, images["test_batch"].transpose(0, 2, 3, 1))
    assert data.class_names == ("cat", "dog") and data.class_counts == [25, 25] if ten else [5, 5]


def test_nothing_in_a_pickle_is_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, write = cifar(tmp_path / "cifar")
    write("data_batch_3", {b"data": Harmful()})
    with pytest.raises(UserError, match="data_batch_3 is not one of CIFAR's files: it holds posix.system"):
        read_archive(str(tmp_path / "cifar"))
    assert not (tmp_path / "harmed").exists()
    write("data_batch_3", {b"labels": []})
    with pytest.raises(UserError, match="does not hold CIFAR's batches as they are published"):
        read_archive(str(tmp_path / "cifar"))


def test_unknown_names_of_tensorflow_datasets_are_one_line(tmp_path):
    with pytest.raises(UserError, match="tensorflow-datasets cannot give 'no_such_set'") as caught:
        gssl.data.image_arrays("tfds:no_such_set", data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_data_set_of_tensorflow_datasets(tmp_path, monkeypatch):
    labels = {"train": np.repeat(np.arange(10), 10), "test": np.repeat(np.arange(10), 2)}
    prepare("cifar10", labels, tmp_path, monkeypatch)
    data = gssl.data.image_arrays("tfds:cifar10", 32, validation=0.1, data_dir=str(tmp_path))
    assert (len(data.train_labels), len(data.validation_labels), len(data.test_labels)) == (90, 10, 20)
    assert data.class_names[3] == "3" and data.class_counts == [9] * 10


def test_the_recipe_trains_on_arrays_and_its_run_is_read_again(tmp_path):
    med_mnist(tmp_path / "med.npz")
    arguments = ["--quick", "--image-size", "28", "--backbone", "resnet8", "--run-dir", str(tmp_path / "run")]
    image_folder.main([str(tmp_path / "med.npz"), *arguments])
    again = reload_data(RunFolder(tmp_path / "run"))
    assert len(again.train_labels) == 40 and len(again.validation_labels) == 10
    (tmp_path / "run" / "metrics.json").unlink()
    image_folder.main(["--resume", "--run-dir", str(tmp_path / "run")])
    assert (tmp_path / "run" / "metrics.json").exists()
    with pytest.raises(UserError, match="must be shares, without folds, where the pictures are arrays"):
        image_folder.main([str(tmp_path / "med.npz"), "--quick", "--fold", "1", "5"])


def test_shares_and_options_that_do_not_go_with_arrays_are_named(tmp_path):
    med_mnist(tmp_path / "med.npz")
    with pytest.raises(UserError, match="test must be a share above 0 and below 1"):
        gssl.data.image_arrays(str(tmp_path / "med.npz"), 28, test=2.0)
    with pytest.raises(UserError, match="group_column is for folders and lists of pictures, not for arrays"):
        image_folder.main([str(tmp_path / "med.npz"), "--quick", "--group-column", "patient"])


def test_fractions_of_grey_are_pictures(tmp_path):
    grey = RANDOM.uniform(size=(40, 28, 28))
    med_mnist(tmp_path / "grey.npz", shape=(28, 28), train_images=grey)
    data = gssl.data.image_arrays(str(tmp_path / "grey.npz"), 28, depth_range=(0.0, 1.0))
    assert np.abs(data.train_images[..., 0] - grey * 255).max() <= 1
