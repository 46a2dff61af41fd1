"""Own pictures: reading every kind, broken files, doubles, streaming, and the recipe."""

import os

import numpy as np
import pytest
from PIL import Image

import keras_gssl as gssl
from keras_gssl.data.pictures.decode import PictureError, depth_range_of, read_picture
from keras_gssl.data.pictures.files import _free_in_container, free_memory
from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.data.pictures.streamed import PictureFiles
from keras_gssl.errors import UserError
from keras_gssl.recipes import image_folder
from keras_gssl.runs.data_reload import reload_data
from keras_gssl.runs.folder import RunFolder
from tests.pictures import KINDS, draw, make_folder, save

QUICK = ["--quick", "--image-size", "32"]
SMALL = [*QUICK, "--backbone", "resnet8"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_gives_the_picture_that_was_drawn(tmp_path, kind):
    picture = draw("bars", (48, 48), np.random.default_rng(3))
    got = read_picture(save(picture, tmp_path / "one", kind), 48).astype(int)
    grey = kind.startswith("grey")
    wanted = np.asarray(picture.convert("L").convert("RGB") if grey else picture).astype(int)
    assert got.shape == (48, 48, 3)
    assert np.abs(got - wanted).mean() < (12 if kind in ("gif", "palette", "cmyk") else 6)


@pytest.mark.parametrize(("bits", "form"), [(10, "png"), (12, "png"), (12, "tif"), (14, "png"), (16, "png")])
def test_deep_grey_pictures_are_scaled_by_what_they_hold(tmp_path, bits, form):
    """12 bits in a file of 16 would be black, 0 to 15, by its type alone."""
    values = np.linspace(0, 2**bits - 1, 32 * 32).astype("uint16").reshape(32, 32)
    path = tmp_path / f"deep.{form}"
    Image.fromarray(values).save(path)
    save(draw("disc", (32, 32), np.random.default_rng(0)), tmp_path / "flat", "png")
    found = depth_range_of([str(tmp_path / "flat.png"), str(path)])
    assert found == (0, 2**bits - 1)
    wanted = np.round(values / (2**bits - 1) * 255)
    assert np.abs(read_picture(path, 32, depth_range=found)[..., 0] - wanted).max() <= 1
    assert read_picture(path, 32)[..., 0].max() == round((2**bits - 1) * 255 / 65535)
    assert depth_range_of([str(tmp_path / "flat.png")]) is None


def test_fractions_and_a_range_of_ones_own(tmp_path):
    values = np.linspace(0, 1, 32 * 32, dtype="float32").reshape(32, 32)
    Image.fromarray(values).save(tmp_path / "fractions.tif")
    assert depth_range_of([str(tmp_path / "fractions.tif")]) == (0, 1)
    assert np.abs(read_picture(tmp_path / "fractions.tif", 32)[..., 0] - values * 255).max() <= 1
    narrow = read_picture(tmp_path / "fractions.tif", 32, depth_range=(0.25, 0.75))[..., 0].astype(int)
    assert np.abs(narrow - ((values - 0.25) * 510).clip(0, 255)).max() <= 1


def test_deep_pictures_keep_their_range_to_the_exported_file(tmp_path, capsys):
    for name, low in (("dark", 0), ("light", 2000)):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(8):
            values = np.random.default_rng(number).integers(low, low + 2000, (32, 32)).astype("uint16")
            Image.fromarray(values).save(tmp_path / "scans" / name / f"{number}.png")
    run = tmp_path / "run"
    image_folder.main([str(tmp_path / "scans"), *SMALL, "--run-dir", str(run)])
    assert "Pictures of more than 8 bits are read as black to white from 0 to 4095." in capsys.readouterr().out
    model = gssl.export.load_deployable(run)
    assert model.depth_range == (0, 4095)
    exported = gssl.export.open_exported(run)
    assert exported.depth_range == (0, 4095)
    data = reload_data(RunFolder(run))
    assert np.asarray(data.train_images[data.train_labels == 1]).mean() > 150


def test_files_that_are_no_pictures_inside(tmp_path):
    """PostScript would start another program, and a pipe would be waited for."""
    (tmp_path / "e.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(PictureError, match="cannot identify"):
        read_picture(tmp_path / "e.jpg", 16)
    os.mkfifo(tmp_path / "f.jpg")
    with pytest.raises(PictureError, match="it is not a file"):
        read_picture(tmp_path / "f.jpg", 16)


def test_pictures_of_too_many_pixels_are_named(tmp_path):
    Image.new("1", (14000, 14000)).save(tmp_path / "huge.png")
    with pytest.raises(PictureError, match="it has more than 178,000,000 pixels"):
        read_picture(tmp_path / "huge.png", 16)


def test_the_same_picture_on_two_sides_is_found(tmp_path, capsys):
    """As another file, as another format and size; not what only looks a little alike."""
    photos = make_folder(tmp_path / "photos", counts=(20, 20, 20, 20))
    random = np.random.default_rng(9)
    pictures = {}
    for number in range(6):  # detailed ones, as photographs are
        noise = random.integers(0, 256, (6, 6, 3)).astype("uint8")
        pictures[number] = Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC)
        pictures[number].save(photos / "disc" / f"noise {number}.png")
    names = [f"disc/noise {number}.png" for number in range(6)]
    listing = list_pictures(photos, 0.3)
    where = {name: listing.parts[listing.names.tolist().index(name)] for name in names}
    for name, part in where.items():
        kind = "ring" if part == "test" else "square"
        other = pictures[int(name[-5])]
        other.resize((80, 80)).save(photos / kind / f"copy of {name[-5]}.jpg", quality=90)
    data = gssl.data.image_folder(photos, 64, 0.3)
    sides = dict(zip(data.listing.names.tolist(), data.listing.parts.tolist(), strict=True))
    copies = {f"{kind}/copy of {n}.jpg": f"disc/noise {n}.png" for n in range(6) for kind in ("ring", "square")}
    wanted = {frozenset(pair) for pair in copies.items() if pair[0] in sides and sides[pair[0]] != sides[pair[1]]}
    found = {frozenset(pair) for pair in data.listing.doubles.items()}
    assert {pair for pair in found if any("noise" in name for name in pair)} == wanted and wanted
    assert all(sides[held_out] != "train" for held_out in data.listing.doubles)
    assert "the figures on them are too good" in data.listing.notes[-1]
    left = gssl.data.image_folder(photos, 64, 0.3, duplicates="drop")
    assert len(left.test_labels) == len(data.test_labels) - len(found)
    assert not set(left.listing.names) & set(data.listing.doubles)
    assert not gssl.data.image_folder(photos, 64, 0.3, duplicates="ignore").listing.doubles


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
    arguments = [str(photos), *SMALL, "--skip-broken", "--run-dir", str(tmp_path / "run")]
    image_folder.main(arguments)
    printed = capsys.readouterr().out
    assert "Left out 2 pictures that cannot be read:" in printed and "ring/b.png" in printed
    kept = (tmp_path / "run" / "pictures.csv").read_text()
    assert "a.jpg" not in kept and kept.count("\n") == 43


def test_the_recipe_from_folder_to_report(photos, tmp_path, capsys):
    run = RunFolder(tmp_path / "run")
    results = image_folder.main([str(photos), *QUICK, "--run-dir", str(run.path)])
    assert "recipe fast, method balanced" in capsys.readouterr().out
    assert results.data["class_counts"] == [3, 17, 1, 9]
    assert results.best_epoch.note == "chosen on the validation images, by balanced accuracy"
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
    image_folder.main([str(photos), *SMALL, "--run-dir", str(run)])
    before = (run / "pictures.csv").read_text()
    (run / "metrics.json").unlink()
    photos.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="42 of 42 pictures cannot be read, .*although the run was made with them"):
        image_folder.main(resume)
    image_folder.main([str(tmp_path / "moved"), *resume])
    assert (run / "metrics.json").exists() and (run / "pictures.csv").read_text() == before
    (run / "pictures.csv").unlink()
    with pytest.raises(UserError, match="pictures.csv is missing: the run wrote it"):
        image_folder.main(resume)


def test_a_run_of_a_csv_file_resumes_by_the_file(tmp_path):
    photos, run = make_folder(tmp_path / "photos"), tmp_path / "run"
    list_pictures(photos).write(photos / "mine.csv")
    image_folder.main([str(photos / "mine.csv"), *SMALL, "--run-dir", str(run)])
    (run / "metrics.json").unlink()
    image_folder.main([str(photos / "mine.csv"), "--resume", "--run-dir", str(run)])
    assert (run / "metrics.json").exists()


def test_a_lost_training_picture_is_replaced_by_a_test_picture(tmp_path):
    photos = make_folder(tmp_path / "photos", counts=(6, 6, 2, 1))
    listing = list_pictures(photos)
    (lost,) = np.flatnonzero((listing.labels == 0) & (listing.parts == "train"))
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
        image_folder.main([str(photos), *SMALL, "--run-dir", str(tmp_path / "run")])


def test_samples_are_not_all_of_one_class(photos):
    labels = gssl.data.image_folder(photos, 32, test=0.5).test_labels
    assert len(set(labels[:8])) > 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "DIR is needed"),
        (["nowhere"], "There is no folder or list nowhere"),
        (["nowhere", "--image-size", "31"], "image_size must be even and at least 8, received 31"),
        (["nowhere", "--test", "1"], "test must be a share above 0 and below 1"),
        (["nowhere", "--backbone", "MobileNetV9"], "keras.applications"),
    ],
)
def test_mistakes_are_one_line(argv, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        image_folder.main(argv)
    assert "\n" not in str(caught.value)


def test_a_network_of_keras_applications_gets_its_own_pixels(photos, tmp_path):
    arguments = [str(photos), "--image-size", "32", "--epochs", "1", "--backbone", "MobileNet"]
    arguments += ["--run-dir", str(tmp_path / "run")]
    with pytest.raises(UserError, match="There is no file none.h5"):
        image_folder.main([*arguments, "--backbone-weights", "none.h5"])
    image_folder.main(arguments)  # the corrected call goes on
    data = gssl.export.load_deployable(tmp_path / "run")
    np.testing.assert_allclose(data.mean + data.std, 0.5, atol=1e-6)  # MobileNet expects -1..1


def test_a_containers_limit_counts_as_memory(tmp_path):
    assert _free_in_container(tmp_path) == []
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("5\n")
    assert _free_in_container(tmp_path) == []
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("50")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("60")
    assert _free_in_container(tmp_path) == [995, 0]
    assert 0 < free_memory() < 2**50


def test_what_is_twice_is_kept_with_the_run(tmp_path, capsys):
    photos = make_folder(tmp_path / "photos", counts=(8, 8, 8, 8))
    noise = Image.fromarray(np.random.default_rng(9).integers(0, 256, (8, 8, 3)).astype("uint8")).resize((64, 64))
    for name in ("disc", "ring", "bars", "square"):
        noise.save(photos / name / "same.png")
    image_folder.main([str(photos), *SMALL, "--run-dir", str(tmp_path / "run"), "--test", "0.5"])
    assert "the figures on them are too good" in capsys.readouterr().out
    lines = (tmp_path / "run" / "doubles.csv").read_text().splitlines()
    assert lines[0] == "path,nearly the same as" and any("same.png" in line for line in lines[1:])
    assert "(nearly) the same" in (tmp_path / "run" / "report.html").read_text()
