"""Folders of pictures, split into three parts, by groups and in folds."""

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
from tests.pictures import of, touch


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


def test_a_split_beside_other_folders_is_named(tmp_path):
    with pytest.raises(UserError, match="has train with folders of pictures in it, .*beside it holdout"):
        of(tmp_path, "train/a/1.png", "train/b/1.png", "holdout/a/1.png")


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
