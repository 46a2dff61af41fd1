"""Lists of pictures as people have them, and what is wrong with others."""

import csv

import numpy as np
import pytest

from keras_gssl.data.pictures.found import TEST, TRAIN, VALIDATION, Columns
from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.errors import UserError
from tests.pictures import SHAPES, touch

ROWS = [("a/1.png", "cat"), ("a/2 of 2.png", "cat"), ("b/3.png", "dog"), ("b/4.jpg", "dog")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", "path,label\n" + "\n".join(",".join(row) for row in ROWS)),
        ("bom.csv", "\ufeffpath,label\r\n" + "\r\n".join(",".join(row) for row in ROWS)),
        ("quotes.csv", '"path","label"\n' + "\n".join('"' + '","'.join(row) + '"' for row in ROWS)),
        ("semicolons.csv", "File Name;Class\n" + "\n".join(";".join(row) for row in ROWS)),
        ("tabs.tsv", "image\tclass_name\n" + "\n".join("\t".join(row) for row in ROWS)),
        ("no_header.csv", "\n".join(",".join(row) for row in ROWS)),
        (
            "more.csv",
            "id,width,image_path,category\n" + "\n".join(f"{i},9,{','.join(row)}" for i, row in enumerate(ROWS)),
        ),
        ("text.txt", "\n".join(" ".join(row) for row in ROWS)),
        ("backslashes.csv", "path,label\n" + "\n".join(",".join(row).replace("/", "\\") for row in ROWS)),
        ("no_ending.csv", "image_id,dx\n" + "\n".join(f"{path[:-4]},{label}" for path, label in ROWS)),
        (
            "one_hot.csv",
            "image,cat,dog\n" + "\n".join(f"{path},{int(c == 'cat')},{int(c == 'dog')}.0" for path, c in ROWS),
        ),
        ("lines.jsonl", "\n".join(f'{{"file_name": "{path}", "label": "{label}"}}' for path, label in ROWS)),
        ("dots.csv", "path,label\n" + "\n".join("./" + ",".join(row) for row in ROWS)),
        ("twice.csv", "path,label\n" + "\n".join(",".join(row) for row in ROWS * 2)),
    ],
)
def test_lists_as_people_have_them(tmp_path, name, content):
    touch(tmp_path, *(path for path, _ in ROWS))
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / name).write_text(content.removeprefix("\ufeff") if encoding == "utf-16" else content, encoding)
        listing = list_pictures(tmp_path / name)
        assert listing.names.tolist() == [path for path, _ in ROWS]
        assert [listing.class_names[label] for label in listing.labels] == [label for _, label in ROWS]
        assert any("count once" in note for note in listing.notes) == (name == "twice.csv")


def test_lists_of_the_long_tail_benchmarks(tmp_path):
    """`path label` with a number, one file for each part, paths that start somewhere else."""
    for part, count in (("train", 12), ("val", 3), ("test", 3)):
        rows = [f"{part}/n{label:04d}/{label}_{i}.JPEG {label}" for label in (0, 2, 10) for i in range(count)]
        (tmp_path / f"ImageNet_LT_{part}.txt").write_text("\n".join(rows))
    train, val, test = (tmp_path / f"ImageNet_LT_{part}.txt" for part in ("train", "val", "test"))
    listing = list_pictures(train, test, val, root=tmp_path / "images")
    assert listing.class_names == ("0", "2", "10"), "in the order of the numbers"
    assert [(listing.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [36, 9, 9]
    assert listing.paths[0] == str(tmp_path / "images" / "train/n0000/0_0.JPEG")


def test_absolute_paths_splits_and_groups(tmp_path):
    rows = [(tmp_path / f"{i}.png", "ab"[i % 2], ("train", "dev", "test")[i % 3], f"p{i // 6}") for i in range(36)]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split", "patient"), *rows])
    listing = list_pictures(tmp_path / "list.csv", root="/elsewhere")
    assert listing.paths[0] == str(tmp_path / "0.png")
    assert [(listing.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [12, 12, 12]
    (tmp_path / "groups.csv").write_text("path,label,patient\n" + "\n".join(f"{r[0]},{r[1]},{r[3]}" for r in rows))
    grouped = list_pictures(tmp_path / "groups.csv", 0.2, 0.2, columns=Columns(group="patient"))
    for group in set(grouped.groups):
        assert len(set(grouped.parts[grouped.groups == group])) == 1
    with pytest.raises(UserError, match=r"has no column 'camera' \(group_column\); it has path, label, patient"):
        list_pictures(tmp_path / "groups.csv", columns=Columns(group="camera"))


def test_hugging_face_folders(tmp_path):
    for part in ("train", "test"):
        touch(tmp_path, *(f"{part}/{i}.png" for i in range(4)))
        (tmp_path / part / "metadata.csv").write_text(
            "file_name,label\n" + "\n".join(f"{i}.png,{'ab'[i % 2]}" for i in range(4))
        )
    listing = list_pictures(tmp_path)
    assert listing.class_names == ("a", "b") and (listing.parts == TEST).sum() == 4
    assert "train/0.png" in listing.names
    touch(tmp_path / "flat", "1.png", "2.png")
    (tmp_path / "flat" / "metadata.jsonl").write_text(
        '{"file_name": "1.png", "label": 0}\n{"file_name": "2.png", "label": 1}'
    )
    assert list_pictures(tmp_path / "flat").names.tolist() == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("where,what\na,b\n", r"columns path and label, received where, what: say which column it is \(path_column\)"),
        ("file,what\na,b\n", r"received file, what: say which column it is \(label_column\)"),
        ("path,label\na.png,\n", "line 2: expected a path and a label"),
        ("path,label,split\na.png,x,maybe\n", "split must be train, validation or test, received 'maybe'"),
        ("path,label\na.png,x\n", "pictures of 1 classes, at least 2 are needed"),
        ("path,label\na.png,x\na.png,y\n", "'x' and with 'y': .* several labels per picture cannot be used"),
        ("path,label,split\na.png,x,test\na.png,x,train\nb.png,y,train", "the split 'test' and with 'train'"),
        ("path,x,y\na.png,1,1\nb.png,0,1\n", "line 2: a.png has 2 labels"),
        ("", "is empty: expected a path and a label in each line"),
        ('path,label\n"a.png,x\n', "Cannot read .* as a CSV file, line"),
        ("a\0b,x\n", "it holds null bytes"),
    ],
)
def test_mistakes_in_a_list_are_named(tmp_path, content, message):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        list_pictures(tmp_path / "list.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\n\xe4.png,x\n", "as a CSV file in UTF-8: .*Save it as UTF-8"),
        (b'{"file_name": "a.png", "labels": ["x", "y"]}\n', "line 1: labels holds several labels"),
        (b'{"file_name": \n', "line 1 is not JSON"),
        (b'["a.png", "x"]\n', "line 1: expected an object"),
    ],
)
def test_mistakes_in_files_of_bytes_are_named(tmp_path, content, message):
    path = tmp_path / ("list.jsonl" if content[:1] in b"{[" else "list.csv")
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        list_pictures(path)


def test_a_folder_and_its_own_csv(photos, tmp_path):
    (photos / "notes.txt").write_text("not a picture")
    (photos / "void").mkdir()
    touch(photos, "disc/.ipynb_checkpoints/copy.png")
    listing = list_pictures(photos, validation=0.1)
    assert listing.class_names == tuple(sorted(SHAPES)) and len(listing.paths) == 42
    assert listing.not_pictures == ("notes.txt",) and listing.empty == ("void",)
    assert listing.digest == list_pictures(photos, validation=0.1).digest != list_pictures(photos, seed=1).digest
    listing.write(tmp_path / "kept.csv")
    again = list_pictures(tmp_path / "kept.csv", root=photos)
    np.testing.assert_array_equal(listing.paths, again.paths)
    np.testing.assert_array_equal(listing.parts, again.parts)
    assert again.digest == listing.digest


def test_one_file_has_one_name(tmp_path):
    """However it is written: else it would be on two sides."""
    touch(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(4)))
    odd = [f"{tmp_path}/a/0.png", "a//1.png", "b/../a/2.png", "./b/0.png"]
    rows = [f"{name},{'ab'[name.endswith('b/0.png')]}" for name in odd]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    listing = list_pictures(tmp_path / "list.csv")
    assert sorted(listing.names) == ["a/0.png", "a/1.png", "a/2.png", "b/0.png"]
    (tmp_path / "all.csv").write_text("path,label\na/0.png,a\na/1.png,a\nb/0.png,b\nb/1.png,b\n")
    touch(tmp_path, "held/a/9.png", "held/b/9.png")
    (tmp_path / "more.csv").write_text((tmp_path / "all.csv").read_text() + "held/a/9.png,a\n")
    with pytest.raises(UserError, match="held/a/9.png is named with the split '' and with 'test'"):
        list_pictures(tmp_path / "more.csv", tmp_path / "held")


def test_notes_called_metadata_are_passed_over(tmp_path):
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "metadata.csv").write_text("id,remark\n7,nice\n")
    assert list_pictures(tmp_path).class_names == ("a", "b")
    (tmp_path / "metadata.csv").write_bytes(b"caf\xe9,1\n")
    listing = list_pictures(tmp_path)
    assert listing.class_names == ("a", "b") and "which is no list of pictures" in listing.notes[0]


def test_numbers_as_column_names_and_endings_from_the_root(tmp_path):
    touch(tmp_path / "pics", "x.jpg", "y.jpg", "z.jpg")
    (tmp_path / "hot.csv").write_text("path,0,1,2\nx,1,0,0\ny,0,1,0\nz,0,0,1\n")
    listing = list_pictures(tmp_path / "hot.csv", root=tmp_path / "pics")
    assert listing.names.tolist() == ["x.jpg", "y.jpg", "z.jpg"] and listing.class_names == ("0", "1", "2")
    (tmp_path / "null.jsonl").write_text('{"path": "x.jpg", "label": null}\n{"path": "y.jpg", "label": "b"}\n')
    with pytest.raises(UserError, match="line 1: expected a path and a label"):
        list_pictures(tmp_path / "null.jsonl")
