"""The audit finds planted wrong labels, doubles and odd pictures, and its corrections are read back."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from keras_gssl.audit.command import main
from keras_gssl.audit.issues import find_issues
from keras_gssl.audit.predictions import read_held_out
from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.errors import UserError

pytest.importorskip("cleanlab", reason="cleanlab, an extra, is not installed")
CLASSES = ("bee", "dugong", "sock")
COUNTS = (120, 60, 20)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pictures, one in twenty in a folder that it does not belong to; two are there twice."""
    root, random = tmp_path_factory.mktemp("own") / "photos", np.random.default_rng(0)
    wrong, truth = [], {}
    for index, (name, count) in enumerate(zip(CLASSES, COUNTS, strict=True)):
        for number in range(count):
            place = index
            if number % 20 == 7:
                place = (index + 1) % 3
                wrong.append(f"{CLASSES[place]}/{name} {number}.png")
            (root / CLASSES[place]).mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (8, 8, 3)).astype("uint8")
            path = f"{CLASSES[place]}/{name} {number}.png"
            Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(root / path)
            truth[path] = index
    for number, of_class in ((0, "sock"), (1, "bee")):  # with another label, and with the same
        path = f"{of_class}/copy {number}.jpg"
        Image.open(root / f"bee/bee {number}.png").save(root / path, quality=92)
        truth[path] = 0
    return root, set(wrong) | {"sock/copy 0.jpg"}, truth


@pytest.fixture(scope="module")
def runs(photos, tmp_path_factory):
    """What five runs leave that tested a fold each, with a network that is right most of the time."""
    root, _, truth = photos
    folder, random = tmp_path_factory.mktemp("compared") / "photos", np.random.default_rng(1)
    for number in range(1, 6):
        run = folder / "runs" / f"fold {number}"
        run.mkdir(parents=True)
        listing = list_pictures(root, 0.2, 0.1, fold=(number, 5))
        listing.write(run / "pictures.csv")

        def logits(positions, listing=listing):
            values = random.normal(size=(len(positions), 3))
            values[np.arange(len(positions)), [truth[str(listing.names[each])] for each in positions]] += 3.5
            return values.astype("float32")

        np.savez(
            run / "predictions.npz", logits=logits(listing.test_order()), labels=listing.labels[listing.test_order()],
            validation_logits=logits(listing.members("validation")), validation_labels=[],
        )  # fmt: skip
        source = {"function": "image_folder", "root": str(root), "fit": "crop"}
        about = {"name": "photos", "class_names": CLASSES, "class_counts": [9] * len(CLASSES), "source": source}
        about |= {"image_shape": [32, 32, 3], "mean": [0.5] * 3, "std": [0.2] * 3}
        (run / "data.json").write_text(json.dumps(about))
        (run / "settings.json").write_text("{}")
    return folder


def test_every_picture_is_predicted_once_or_more(runs, photos):
    held_out = read_held_out([runs])
    assert sorted(held_out.names.tolist()) == sorted(photos[2])
    assert held_out.all_pictures == len(held_out.names) == 202
    np.testing.assert_allclose(held_out.probabilities.sum(axis=1), 1)
    right = held_out.probabilities.argmax(axis=1) == [photos[2][name] for name in held_out.names]
    assert right.mean() > 0.9
    one = read_held_out([runs / "runs" / "fold 1"])
    assert 50 < len(one.names) < 80 and one.all_pictures == 202


def test_planted_wrong_labels_doubles_and_their_order(runs, photos):
    held_out = read_held_out([runs])
    findings = find_issues(held_out)
    found = {str(held_out.names[position]) for position in findings.wrong}
    planted = photos[1]
    assert len(found & planted) / len(planted) >= 0.8, "recall"
    assert len(found & planted) / len(found) >= 0.6, "precision"
    for position, likely in zip(findings.wrong, findings.suggested, strict=True):
        if str(held_out.names[position]) in planted:
            assert likely == photos[2][str(held_out.names[position])] or findings.quality[position] < 0.5
    pairs = [{str(held_out.names[one]), str(held_out.names[other])} for one, other in findings.twice]
    assert pairs == [{"bee/bee 0.png", "sock/copy 0.jpg"}, {"bee/bee 1.png", "bee/copy 1.jpg"}]
    assert len(findings.odd) == 4


def test_the_command_writes_a_page_and_corrections_that_are_read_back(runs, photos, tmp_path, capsys):
    root, planted, _ = photos
    assert main([str(runs), "-o", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "202 of 202 pictures" in printed and "2 pairs of pictures are nearly the same" in printed
    page = (tmp_path / "audit.html").read_text()
    assert "Labels that are likely wrong" in page and "different labels" in page and page.count("<img") > 10
    with (tmp_path / "audit.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 202 and float(rows[0]["quality"]) < float(rows[-1]["quality"])
    corrected = list_pictures(root, 0.2, corrections=tmp_path / "corrections.csv")
    assert "labels are corrected by" in corrected.notes[0]
    before = dict(zip(*[iter_of(list_pictures(root, 0.2), what) for what in ("names", "labels")], strict=True))
    after = dict(zip(*[iter_of(corrected, what) for what in ("names", "labels")], strict=True))
    changed = {name for name in after if after[name] != before[name]}
    assert len(changed & planted) >= 0.8 * len(planted)
    assert all(after[name] == photos[2][name] for name in changed & planted if name != "sock/copy 0.jpg")


def iter_of(listing, what):
    return getattr(listing, what).tolist()


def test_corrections_leave_pictures_out_and_name_mistakes(photos, tmp_path):
    root, _, _ = photos
    (tmp_path / "mine.csv").write_text("path,label\nbee/bee 0.png,-\nbee/bee 1.png,sock\n")
    listing = list_pictures(root, corrections=tmp_path / "mine.csv")
    names = listing.names.tolist()
    assert "bee/bee 0.png" not in names and listing.class_names[listing.labels[names.index("bee/bee 1.png")]] == "sock"
    (tmp_path / "mine.csv").write_text("path,label\nbee/none.png,sock\n")
    with pytest.raises(UserError, match="mine.csv corrects bee/none.png, which is not among the 202 pictures"):
        list_pictures(root, corrections=tmp_path / "mine.csv")


def test_what_cannot_be_audited_is_named(runs, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "is not the folder of a finished run, or of a comparison" in capsys.readouterr().err
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in ("settings.json", "predictions.npz"):
        (bare / file).write_bytes((runs / "runs" / "fold 1" / file).read_bytes())
    assert main([str(bare)]) == 2
    assert "is not a run on your own pictures: it has no pictures.csv" in capsys.readouterr().err
