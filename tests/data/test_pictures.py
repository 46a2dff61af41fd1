"""Own pictures: reading every kind, listing and splitting, broken files, streaming, and the recipe."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import keras_gssl as gssl
from keras_gssl.data.pictures.decode import PictureError, read_picture
from keras_gssl.data.pictures.folder import PictureFiles
from keras_gssl.data.pictures.listing import hold_out, list_pictures
from keras_gssl.errors import UserError
from keras_gssl.recipes import image_folder
from keras_gssl.runs.data_description import reload_data
from keras_gssl.runs.folder import RunFolder
from tests.pictures import KINDS, SHAPES, draw, make_folder, save

QUICK = ["--quick", "--image-size", "32"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "photos")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_picture_that_was_drawn(tmp_path, kind):
    picture = draw("bars", (48, 48), np.random.default_rng(3))
    got = read_picture(save(picture, tmp_path / "one", kind), 48).astype(int)
    grey = kind.startswith("grey")
    wanted = np.asarray(picture.convert("L").convert("RGB") if grey else picture).astype(int)
    assert got.shape == (48, 48, 3)
    assert np.abs(got - wanted).mean() < (12 if kind in ("gif", "palette", "cmyk") else 6)


def test_transparent_pixels_become_white(tmp_path):
    Image.new("RGBA", (16, 16), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png", 16) == 255).all()


def test_nothing_is_distorted(tmp_path):
    wide = np.zeros((20, 60, 3), "uint8")
    wide[:, 20:40] = 255  # the middle square is white
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_picture(tmp_path / "wide.png", 20, "crop") == 255).all()
    padded = read_picture(tmp_path / "wide.png", 60, "pad")
    assert (padded[:19] == 0).all() and (padded[41:] == 0).all() and (padded[22:38, 22:38] == 255).all()


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40])
def test_broken_files_say_why(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(PictureError) as caught:
        read_picture(tmp_path / "bad.png", 16)
    assert str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(PictureError, match="No such file"):
        read_picture(tmp_path / "none.png", 16)


def test_a_truncated_jpeg_is_broken(tmp_path):
    path = save(draw("disc", (64, 64), np.random.default_rng(0)), tmp_path / "whole", "jpg")
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(PictureError, match="truncated"):
        read_picture(path, 32)


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=2, max_size=6), share=st.floats(0.05, 0.6), seed=st.integers(0, 9))
def test_the_split_is_made_per_class(counts, share, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [f"{label}/{position}" for position, label in enumerate(labels)]
    chosen = hold_out(names, labels, share, seed)
    for label, count in enumerate(counts):
        held = int(chosen[labels == label].sum())
        assert held < count, "something is left to train on"
        assert held == (0 if count == 1 else min(count - 1, max(1, round(share * count))))
    order = np.random.default_rng(0).permutation(len(names))
    shuffled = hold_out([names[each] for each in order], labels[order], share, seed)
    np.testing.assert_array_equal(shuffled, chosen[order])


def test_listing_a_folder_and_its_csv(photos, tmp_path):
    (photos / "notes.txt").write_text("not a picture")
    (photos / "void").mkdir()
    (photos / "disc" / ".ipynb_checkpoints").mkdir()
    (photos / "disc" / ".ipynb_checkpoints" / "copy.png").write_bytes(b"")
    listing = list_pictures(photos)
    assert listing.class_names == tuple(sorted(SHAPES)) and len(listing.paths) == 42
    assert listing.not_pictures == ("notes.txt",) and listing.empty == ("void",)
    assert listing.digest == list_pictures(photos).digest != list_pictures(photos, seed=1).digest
    listing.write(tmp_path / "kept.csv")
    again = list_pictures(tmp_path / "kept.csv", root=photos)
    np.testing.assert_array_equal(listing.paths, again.paths)
    np.testing.assert_array_equal(listing.held_out, again.held_out)
    with (photos / "mine.csv").open("w", newline="") as file:  # paths relative to the file, no split
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        rows.writerows((name, "x" if number % 2 else "y") for number, name in enumerate(listing.names))
    mine = list_pictures(photos / "mine.csv")
    assert mine.class_names == ("x", "y") and len(mine.paths) == 42 and 6 <= mine.held_out.sum() <= 10
    (photos / "mine.csv").unlink()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,label\na,b\n", "expected a first line with the columns path and label, received file, label"),
        ("path,label\na.png,\n", "line 2: expected a path and a label"),
        ("path,label,split\na.png,x,dev\n", "split must be train or test, received 'dev'"),
        ("path,label\na.png,x\n", "pictures of 1 classes, at least 2 are needed"),
    ],
)
def test_mistakes_in_a_csv_are_named(tmp_path, content, message):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(UserError, match=message):
        list_pictures(tmp_path / "list.csv")


def test_memory_and_disk_give_the_same_batches(photos, tasks):
    memory = gssl.data.image_folder(photos, 32, cache="memory")
    disk = gssl.data.image_folder(photos, 32, cache="disk")
    assert isinstance(disk.train_images, PictureFiles) and memory.class_counts == disk.class_counts
    assert memory.class_counts == [4, 19, 1, 10]  # bars, disc, ring, square: five, 24, one and twelve pictures
    np.testing.assert_allclose(memory.mean, disk.mean)
    pairs = zip(memory.train(8, tasks).from_epoch(0).take(3), disk.train(8, tasks).from_epoch(0), strict=False)
    for (one, _), (other, _) in pairs:
        np.testing.assert_array_equal(one, other)


def test_broken_pictures_stop_or_are_left_out(tmp_path, capsys):
    photos = make_folder(tmp_path / "photos")
    for name in ("disc/a.jpg", "ring/b.png"):
        (photos / name).write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"2 of 44 pictures cannot be read, first .*disc/a.jpg .*skip_broken") as caught:
        gssl.data.image_folder(photos, 32)
    assert "\n" not in str(caught.value)
    arguments = [str(photos), *QUICK, "--skip-broken", "--run-dir", str(tmp_path / "run")]
    image_folder.main(arguments)
    printed = capsys.readouterr().out
    assert "Left out 2 pictures that cannot be read:" in printed and "ring/b.png" in printed
    kept = (tmp_path / "run" / "pictures.csv").read_text()
    assert "a.jpg" not in kept and kept.count("\n") == 43


def test_the_recipe_from_folder_to_report(photos, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    results = image_folder.main([str(photos), *QUICK, "--run-dir", str(run.path)])
    assert "method moe" in capsys.readouterr().out
    assert results.data["class_counts"] == [4, 19, 1, 10]
    assert results.last_epoch.per_class[2] is None, "of a class with one picture there is none to test on"
    assert run.report.exists() and run.model_card.exists()
    # What was held out is kept with the run, even if the folder changes.
    save(draw("disc", (32, 32), np.random.default_rng(1)), photos / "disc" / "new", "png")
    again = reload_data(run)
    assert again.class_counts == results.data["class_counts"]
    (photos / "disc" / "new.png").unlink()


def test_the_recipe_resumes_with_its_own_listing(tmp_path):
    photos, run = make_folder(tmp_path / "photos"), tmp_path / "run"
    resume = ["--resume", "--run-dir", str(run)]
    image_folder.main([str(photos), *QUICK, "--run-dir", str(run)])
    before = (run / "pictures.csv").read_text()
    (run / "metrics.json").unlink()
    photos.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="42 of 42 pictures cannot be read, .*although the run was made with them"):
        image_folder.main(resume)
    image_folder.main([str(tmp_path / "moved"), *resume])
    assert (run / "metrics.json").exists() and (run / "pictures.csv").read_text() == before
    (run / "pictures.csv").unlink()
    with pytest.raises(UserError, match="There is no folder or CSV file .*pictures.csv"):
        image_folder.main(resume)


def test_a_run_of_a_csv_file_resumes_by_the_file(tmp_path):
    photos, run = make_folder(tmp_path / "photos"), tmp_path / "run"
    list_pictures(photos).write(photos / "mine.csv")
    image_folder.main([str(photos / "mine.csv"), *QUICK, "--run-dir", str(run)])
    (run / "metrics.json").unlink()
    image_folder.main([str(photos / "mine.csv"), "--resume", "--run-dir", str(run)])
    assert (run / "metrics.json").exists()


def test_a_lost_training_picture_is_replaced_by_a_test_picture(tmp_path):
    photos = make_folder(tmp_path / "photos", counts=(6, 6, 2, 1))
    listing = list_pictures(photos)
    (lost,) = np.flatnonzero((listing.labels == 0) & ~listing.held_out)
    open(listing.paths[lost], "w").close()
    data = gssl.data.image_folder(photos, 32, skip_broken=True)
    assert data.class_counts[0] == 1 and list(data.listing.broken) == [listing.names[lost]]


def test_a_picture_that_breaks_while_training_is_named(tmp_path, monkeypatch):
    photos = make_folder(tmp_path / "photos")
    data = gssl.data.image_folder(photos, 32, cache="disk")
    data.train_images.check()
    broken = data.train_images.paths[0]
    open(broken, "w").close()
    with pytest.raises(UserError, match=f"Cannot read the picture {broken}"):
        np.asarray(data.train_images)
    monkeypatch.setattr(image_folder, "load", lambda settings, folder: data)
    with pytest.raises(UserError, match=f"Cannot read the picture {broken}"):
        image_folder.main([str(photos), *QUICK, "--run-dir", str(tmp_path / "run")])


def test_samples_are_not_all_of_one_class(photos):
    labels = gssl.data.image_folder(photos, 32, held_out=0.5).test_labels
    assert len(set(labels[:8])) > 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "DIR is needed"),
        (["nowhere"], "There is no folder or CSV file nowhere"),
        (["nowhere", "--image-size", "31"], "image_size must be even and at least 8, received 31"),
        (["nowhere", "--held-out", "1"], "held_out must be above 0 and below 1"),
        (["nowhere", "--backbone", "MobileNetV9"], "keras.applications"),
    ],
)
def test_mistakes_are_one_line(argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        image_folder.main(argv)
    assert "\n" not in str(caught.value)


def test_a_network_of_keras_applications_gets_its_own_pixels(photos, tmp_path):
    arguments = [str(photos), "--image-size", "32", "--epochs", "1", "--backbone", "MobileNetV2", "--tasks", "flip"]
    image_folder.main([*arguments, "--run-dir", str(tmp_path / "run")])
    data = gssl.export.load_deployable(tmp_path / "run")
    np.testing.assert_allclose(data.mean + data.std, 0.5, atol=1e-6)  # MobileNetV2 expects -1..1
    other = ["--run-dir", str(tmp_path / "other")]
    with pytest.raises(UserError, match="There is no file none.h5"):
        image_folder.main([*arguments, "--backbone-weights", "none.h5", *other])
    image_folder.main([*arguments, *other, "--quick", "--backbone-weights", "none.h5"])  # the corrected call goes on
