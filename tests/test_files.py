"""Tables that are written are read back as they were, and hold nothing that a spreadsheet would compute."""

import csv

from hypothesis import given
from hypothesis import strategies as st

from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.files import from_cell, to_cell, write_csv
from tests.pictures import make_folder


def rows_of(path):
    return list(csv.reader(path.read_text(encoding="utf-8").splitlines()))


@given(st.text(alphabet="'=+-@\t\r1aé", max_size=6))
def test_a_cell_is_read_as_it_was_and_computes_nothing(text):
    cell = to_cell(text)
    assert from_cell(cell) == text
    assert len(cell) < 2 or cell[0] not in "=+-@\t\r"


def test_numbers_stay_numbers(tmp_path):
    write_csv(tmp_path / "t.csv", ("path", "quality"), [("=1+1", -0.5), ("-", 2)])
    rows = rows_of(tmp_path / "t.csv")
    assert rows == [["path", "quality"], ["'=1+1", "-0.5"], ["-", "2"]]


def test_classes_and_files_named_like_formulas_are_kept(tmp_path):
    photos = make_folder(tmp_path / "photos", counts=(6, 6, 2, 2))
    first, second, *_ = sorted(path for path in photos.iterdir() if path.is_dir())
    first.rename(photos / "=1+1|A")
    second.rename(photos / "@SUM(1)")
    listing = list_pictures(photos)
    listing.write(tmp_path / "kept.csv")
    rows = rows_of(tmp_path / "kept.csv")
    assert {row[1] for row in rows[1:]} >= {"'=1+1|A", "'@SUM(1)"}
    again = list_pictures(tmp_path / "kept.csv", root=photos)
    assert tuple(again.class_names) == tuple(listing.class_names)
    assert [str(path) for path in again.paths] == [str(path) for path in listing.paths]
