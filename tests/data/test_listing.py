"""What people have: folders and lists of every kind, split into three parts, by groups and in folds."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_gssl.data.pictures.found import TEST, TRAIN, VALIDATION, Columns
from keras_gssl.data.pictures.listing import Listing, list_pictures
from keras_gssl.data.pictures.split import fold_of, split_by_class, split_by_group
from keras_gssl.errors import UserError
from tests.pictures import SHAPES, make_folder


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def of(root, *names):
    """An empty picture for each name, and the listing of them."""
    touch(root, *names)
    return list_pictures(root)


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    test=st.floats(0.05, 0.6),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 9),
)
def test_the_split_is_made_per_class(counts, test, validation, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = [f"{label}/{position}" for position, label in enumerate(labels)]
    shares = {TEST: test, VALIDATION: validation}
    parts = split_by_class(names, labels, shares, seed)
    for label, count in enumerate(counts):
        of_class = parts[labels == label].tolist()
        assert of_class.count(TRAIN) >= 1, "something is left to train on"
        tested = 0 if count == 1 else min(count - 1, max(1, round(test * count)))
        assert of_class.count(TEST) == tested
        left = count - 1 - tested
        assert of_class.count(VALIDATION) == (min(left, max(1, round(validation * count))) if validation else 0)
    order = np.random.default_rng(0).permutation(len(names))
    np.testing.assert_array_equal(
        split_by_class([names[each] for each in order], labels[order], shares, seed), parts[order]
    )
    one_more = split_by_class([*names, "0/new"], np.append(labels, 0), shares, seed)[:-1]
    np.testing.assert_array_equal(one_more[labels > 0], parts[labels > 0])
    without = split_by_class(names, labels, {TEST: test}, seed)
    np.testing.assert_array_equal(without == TEST, parts == TEST)  # validation pictures come from training alone


@settings(max_examples=30, deadline=None)
@given(counts=st.lists(st.integers(2, 30), min_size=2, max_size=5), folds=st.integers(2, 6), seed=st.integers(0, 3))
def test_folds_test_every_picture_once(counts, folds, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    names = np.array([f"{label}/{position}" for position, label in enumerate(labels)])
    drawn = [fold_of(names, labels, (number, folds), 0.1, seed, names) for number in range(1, folds + 1)]
    tested = sum((parts == TEST).astype(int) for parts in drawn)
    assert (tested == 1).all()
    for parts in drawn:
        assert all(TRAIN in parts[labels == label] for label in range(len(counts)))
    for label, count in enumerate(counts):
        sizes = [int((parts[labels == label] == TEST).sum()) for parts in drawn]
        assert max(sizes) - min(sizes) <= 1 and sum(sizes) == count


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 20), share=st.sampled_from([0.1, 0.2, 0.34]))
def test_groups_stay_on_one_side(seed, share):
    random = np.random.default_rng(seed)
    groups = random.integers(0, 40, 200).astype(str)
    labels = random.integers(0, 4, 200)
    names = [f"{position:03d}" for position in range(200)]
    parts = split_by_group(names, labels, groups, {TEST: share, VALIDATION: 0.1}, seed)
    for group in set(groups):
        assert len(set(parts[groups == group])) == 1
    assert abs((parts == TEST).mean() - share) < 0.12
    assert all(TRAIN in parts[labels == label] for label in range(4))
    folds = [fold_of(names, labels, (number, 4), 0.0, seed, groups) for number in range(1, 5)]
    assert (sum((each == TEST).astype(int) for each in folds) == 1).all()
    for each in folds:
        assert all(len(set(each[groups == group])) == 1 for group in set(groups))


def test_a_class_of_one_group_is_trained_on():
    names = [f"{position:02d}" for position in range(40)]
    labels = np.repeat([0, 1, 2], [20, 18, 2])
    groups = np.array([f"g{position // 4}" for position in range(38)] + ["rare", "rare"])
    for seed in range(20):
        assert set(split_by_group(names, labels, groups, {TEST: 0.3}, seed)[labels == 2]) == {TRAIN}


def test_train_and_test_folders_are_the_split(tmp_path):
    listing = of(tmp_path, *(f"{part}/{name}/{i}.png" for part in ("train", "Test") for name in "ab" for i in range(5)))
    assert listing.class_names == ("a", "b")
    assert (listing.parts == TEST).sum() == 10 and all("Test/" in name for name in listing.names[listing.parts == TEST])
    assert listing.notes == ("The folders above the classes are the split: Test (test), train (train).",)
    assert listing.names[0] == "Test/a/0.png"
    three = list_pictures(tmp_path, validation=0.2)
    assert [(three.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [8, 2, 10]


def test_valid_beside_test_and_alone(tmp_path):
    names = [f"{part}/{name}/{i}.png" for part in ("training", "valid") for name in "ab" for i in range(3)]
    listing = of(tmp_path, *names)
    assert [(listing.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [6, 0, 6]
    assert any("the validation pictures are tested on" in note for note in listing.notes)
    listing = of(tmp_path, "testing/a/1.png", "testing/b/1.png")
    assert [(listing.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [6, 6, 2]


def test_folders_called_train_may_be_classes(tmp_path):
    listing = of(tmp_path, *(f"{name}/{i}.png" for name in ("train", "bus", "test") for i in range(3)))
    assert listing.class_names == ("bus", "test", "train") and not listing.notes
    with pytest.raises(
        UserError, match="test, train, which are a split, not classes: expected a folder for each class"
    ):
        of(tmp_path / "two", "train/1.png", "test/2.png")
    with pytest.raises(UserError, match=r"1 classes, .*are bee, wasp, ... the classes\? Then give .*insects"):
        of(tmp_path / "wrapped", "insects/bee/1.png", "insects/wasp/2.png")


def test_the_test_pictures_may_lie_elsewhere(tmp_path):
    touch(tmp_path, *(f"mine/{name}/{i}.png" for name in "ab" for i in range(6)), "other/a/7.png", "other/b/8.png")
    listing = list_pictures(tmp_path / "mine", tmp_path / "other", 0.2)
    assert [(listing.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [10, 2, 2]
    assert set(listing.names[listing.parts == TEST]) == {
        str(tmp_path / "other" / each) for each in ("a/7.png", "b/8.png")
    }
    listing.write(tmp_path / "kept.csv")
    again = list_pictures(tmp_path / "kept.csv", root=tmp_path / "mine")
    np.testing.assert_array_equal(listing.paths, again.paths)
    np.testing.assert_array_equal(listing.parts, again.parts)
    with pytest.raises(UserError, match="test must be a share or a folder or list that exists; there is no"):
        list_pictures(tmp_path / "mine", "nowhere")


def test_links_are_followed_and_loops_noticed(tmp_path):
    touch(tmp_path, "far/1.png", "far/2.png", "mine/a/1.png", "mine/a/2.png")
    (tmp_path / "mine" / "b").symlink_to(tmp_path / "far")
    (tmp_path / "mine" / "a" / "up").symlink_to(tmp_path / "mine")
    listing = list_pictures(tmp_path / "mine")
    assert listing.names.tolist() == ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]
    assert listing.notes == ("The folder a/up links to one that it lies in, and is passed over.",)


def test_what_systems_leave_is_passed_over(tmp_path):
    touch(tmp_path, "@eaDir/a/1.png", "a/@eaDir/1.png", "__MACOSX/a/1.png", "$RECYCLE.BIN/1.png", "a/.hidden/1.png")
    os.mkfifo(tmp_path / "a" / "pipe.jpg")
    listing = of(tmp_path, "a/1.png", "b/2.png")
    assert listing.names.tolist() == ["a/1.png", "b/2.png"] and listing.not_pictures == ("a/pipe.jpg",)


def test_too_few_for_three_parts_is_said(tmp_path):
    touch(tmp_path, *(f"a/{i}.png" for i in range(9)), "b/1.png", "b/2.png", "c/1.png")
    listing = list_pictures(tmp_path, 0.2, 0.1)
    assert listing.notes == (
        "2 classes have too few pictures for 3 parts and none for validation: b, c",
        "1 class has too few pictures for 3 parts and none for test: c",
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "photos")


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test": 0.0}, "test must be a share above 0 and below 1, or a folder; received 0"),
        ({"validation": 1.0}, "validation must be a share from 0 and below 1"),
        ({"test": 0.6, "validation": 0.5}, "must leave pictures to train on, received shares of 1.1"),
        ({"fold": (6, 5)}, "A fold is a number from 1 to the number of folds, at least 2; received 6 of 5"),
    ],
)
def test_shares_that_cannot_be_met_are_named(photos, arguments, message):
    with pytest.raises(UserError, match=message):
        list_pictures(photos, **arguments)


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


def test_validation_pictures_that_are_given_stay_so(tmp_path):
    touch(tmp_path, *(f"{part}/{name}/{i}.png" for part in ("train", "valid") for name in "ab" for i in range(10)))
    listing = list_pictures(tmp_path / "train", validation=tmp_path / "valid")
    assert [(listing.parts == part).sum() for part in (TRAIN, VALIDATION, TEST)] == [16, 20, 4]
    folds = [list_pictures(tmp_path, fold=(number, 4)) for number in range(1, 5)]
    assert sum((each.parts == TEST).astype(int) for each in folds).tolist() == [1] * 40
    assert all("what the source says of train and test is passed over" in each.notes[-1] for each in folds)
    with pytest.raises(UserError, match="With a fold, test pictures are drawn: leave test .*valid out"):
        list_pictures(tmp_path / "train", tmp_path / "valid", fold=(1, 4))


def test_groups_of_a_folders_metadata_and_groups_that_cannot_be(tmp_path):
    touch(tmp_path, *(f"{i}.png" for i in range(24)))
    rows = [f"{i}.png,{'ab'[i % 2]},p{i // 4}" for i in range(24)]
    (tmp_path / "metadata.csv").write_text("\n".join(["file_name,label,patient", *rows]))
    grouped = list_pictures(tmp_path, 0.3, columns=Columns(group="patient"))
    for group in set(grouped.groups):
        assert len(set(grouped.parts[grouped.groups == group])) == 1
    of(tmp_path / "plain", "a/1.png", "b/1.png")
    with pytest.raises(UserError, match="Columns can be named for lists; .*plain is a folder without metadata.csv"):
        list_pictures(tmp_path / "plain", columns=Columns(group="patient"))
    rows = [f"{i}.png,{'ab'[i % 2]},{('train', 'test')[i // 2 % 2]},p" for i in range(8)]
    (tmp_path / "own.csv").write_text("\n".join(["path,label,split,patient", *rows]))
    listing = list_pictures(tmp_path / "own.csv", columns=Columns(group="patient"))
    assert "1 groups are on two sides" in listing.notes[-1]


def test_notes_called_metadata_are_passed_over(tmp_path):
    touch(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "metadata.csv").write_text("id,remark\n7,nice\n")
    assert list_pictures(tmp_path).class_names == ("a", "b")
    (tmp_path / "metadata.csv").write_bytes(b"caf\xe9,1\n")
    listing = list_pictures(tmp_path)
    assert listing.class_names == ("a", "b") and "which is no list of pictures" in listing.notes[0]


def test_a_split_beside_other_folders_is_named(tmp_path):
    with pytest.raises(UserError, match="has train with folders of pictures in it, .*beside it holdout"):
        of(tmp_path, "train/a/1.png", "train/b/1.png", "holdout/a/1.png")


def test_numbers_as_column_names_and_endings_from_the_root(tmp_path):
    touch(tmp_path / "pics", "x.jpg", "y.jpg", "z.jpg")
    (tmp_path / "hot.csv").write_text("path,0,1,2\nx,1,0,0\ny,0,1,0\nz,0,0,1\n")
    listing = list_pictures(tmp_path / "hot.csv", root=tmp_path / "pics")
    assert listing.names.tolist() == ["x.jpg", "y.jpg", "z.jpg"] and listing.class_names == ("0", "1", "2")
    (tmp_path / "null.jsonl").write_text('{"path": "x.jpg", "label": null}\n{"path": "y.jpg", "label": "b"}\n')
    with pytest.raises(UserError, match="line 1: expected a path and a label"):
        list_pictures(tmp_path / "null.jsonl")


def test_folds_need_two_pictures_of_every_class(tmp_path):
    names = [f"a/{i}.png" for i in range(6)]
    with pytest.raises(UserError, match="Folds need two pictures or more of every class, 'b' has one"):
        touch(tmp_path, *names, "b/1.png")
        list_pictures(tmp_path, fold=(1, 3))


def test_whole_numbers_are_shares(photos):
    with pytest.raises(UserError, match="test must be a share above 0 and below 1"):
        list_pictures(photos, test=1)
    assert not (list_pictures(photos, validation=0).parts == VALIDATION).any()


def test_a_group_moves_as_a_whole_to_where_a_picture_is_missed():
    labels, parts = np.array([0, 0, 1, 1, 1]), np.array([TRAIN, TEST, TEST, TEST, TRAIN])
    groups = np.array(["g0", "g1", "g2", "g2", "g3"])
    listing = Listing(Path("/"), np.array(list("abcde")), labels, parts, ("x", "y"), groups)
    left = listing.leaving_out({4: "broken"})
    assert left.parts.tolist() == [TRAIN, TEST, TRAIN, TRAIN]
