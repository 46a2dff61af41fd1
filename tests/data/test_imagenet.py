"""Tiny-ImageNet from a small folder of the archive's shape."""

import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.data.pictures import files as image_files
from keras_gssl.data.pictures.files import ImageFiles
from keras_gssl.errors import UserError
from keras_gssl.recipes import tiny_imagenet as recipe

WNIDS = ("n02", "n01", "n10")


@pytest.fixture
def archive(tmp_path):
    """Three classes, four training and two validation images each; the first of each class is greyscale."""
    folder, random = tmp_path / "tiny-imagenet-200", np.random.default_rng(0)

    def picture(path, channels=3):
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (64, 64, channels)).astype("uint8")
        path.write_bytes(tf.io.encode_jpeg(pixels).numpy())

    lines = []
    for number, wnid in enumerate(WNIDS):
        for index in range(4):
            picture(folder / "train" / wnid / "images" / f"{wnid}_{index}.JPEG", 1 if index == 0 else 3)
        for index in range(2):
            name = f"val_{2 * number + index}.JPEG"
            picture(folder / "val" / "images" / name)
            lines.append(f"{name}\t{wnid}\t0\t0\t62\t62")
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    (folder / "words.txt").write_text("n01\tgoldfish, Carassius auratus\nn02\ttoad\nn99\tunused\n")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_it_is_read_whole(archive):
    data = gssl.data.tiny_imagenet(archive.parent)
    assert data.class_names == ("goldfish", "toad", "n10")
    assert data.class_counts == [4, 4, 4]
    assert data.train_images.shape == (12, 64, 64, 3) and data.train_images.dtype == np.uint8
    grey = data.train_images[::4]
    np.testing.assert_array_equal(grey[..., 0], grey[..., 1])
    assert data.test_labels.tolist() == [1, 1, 0, 0, 2, 2]
    assert data.mean == (0.5, 0.5, 0.5)


def test_streamed_and_cached_give_equal_batches(archive, tasks):
    memory, disk = (gssl.data.tiny_imagenet(archive, cache) for cache in ("memory", "disk"))
    assert isinstance(memory.train_images, np.ndarray) and isinstance(disk.train_images, ImageFiles)
    for one, other in zip(
        memory.train(5, tasks).from_epoch(0).take(4), disk.train(5, tasks).from_epoch(0), strict=False
    ):
        np.testing.assert_array_equal(one[0], other[0])
    for one, other in zip(memory.test(4), disk.test(4), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(memory.head(6, 3).train_images, np.asarray(disk.head(6, 3).train_images))


def test_auto_streams_what_does_not_fit(archive, monkeypatch):
    monkeypatch.setattr(image_files, "free_memory", lambda: 6 * 12 * 64 * 64 * 3)
    data = gssl.data.tiny_imagenet(archive)
    assert isinstance(data.train_images, ImageFiles) and isinstance(data.test_images, np.ndarray)
    assert image_files.free_memory() > 0


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("wnids.txt", "wnids.txt is missing"),
        ("words.txt", "words.txt is missing"),
        ("val/val_annotations.txt", "val_annotations.txt is missing"),
        ("val/images/val_3.JPEG", "Validation images are missing, 1 in all, first .*val_3.JPEG"),
        ("train/n10", "No training images in .*n10"),
    ],
)
def test_a_missing_part_is_named(archive, part, message):
    path = archive / part
    path.rename(archive / "elsewhere")
    with pytest.raises(UserError, match=message) as caught:
        gssl.data.tiny_imagenet(archive)
    assert "\n" not in str(caught.value)


def test_wrong_parts_are_named(archive):
    with pytest.raises(UserError, match="There is no folder .*nowhere"):
        gssl.data.tiny_imagenet(archive / "nowhere")
    (archive / "train/n01/images/n01_2.JPEG").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="Cannot read the picture .*n01_2.JPEG"):
        gssl.data.tiny_imagenet(archive, "memory")
    with pytest.raises(UserError, match="Cannot read the picture .*n01_2.JPEG"):
        recipe.main(["--quick", "--data-dir", str(archive), "--cache", "disk", "--run-dir", str(archive / "run")])
    annotations = archive / "val" / "val_annotations.txt"
    annotations.write_text("val_0.JPEG\tn02\nval_1.JPEG n02\n")
    with pytest.raises(UserError, match="val_annotations.txt, line 2: expected"):
        gssl.data.tiny_imagenet(archive)


@pytest.mark.parametrize("arguments", [["--method", "moe", "--cache", "disk"], ["--method", "ce"]])
def test_quick_run(archive, tmp_path, capsys, arguments):
    recipe.main(["--quick", "--data-dir", str(archive), "--run-dir", str(tmp_path / "run"), *arguments])
    assert "last epoch" in capsys.readouterr().out


def test_settings_of_table_2():
    settings = recipe.TinyImageNetSettings()
    assert settings.milestones()[0] == (74, 149, 224, 299) and settings.full_epochs == 300
    backbones = [gssl.backbones.make_backbone(f"resnet18_{stem}", (64, 64, 3)) for stem in ("imagenet", "small")]
    counts = [sum(int(np.prod(weight.shape)) for weight in each.trainable_weights) for each in backbones]
    assert counts == [11_176_512, 11_168_832]
    with pytest.raises(UserError, match="--data-dir is needed"):
        recipe.main(["--quick"])
