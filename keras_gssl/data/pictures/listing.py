"""Which pictures there are, of which classes, and which of them are for training, validation and testing."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_gssl.data.pictures.decode import SUFFIXES
from keras_gssl.data.pictures.found import TEST, TRAIN, VALIDATION, Columns, Found
from keras_gssl.data.pictures.list_file import read_list
from keras_gssl.data.pictures.split import check_fold, fold_of, split_by_class, split_by_group
from keras_gssl.data.pictures.tree import read_tree
from keras_gssl.errors import DataNotFoundError, UserError, counted
from keras_gssl.files import write_csv

NAMED = 5  # classes that a note names


@dataclasses.dataclass(frozen=True)
class Listing:
    """Picture files, their classes, and what each is for.

    Attributes:
        root: The folder that the names start from.
        names: Of the files, with `/` between folders; absolute where they lie elsewhere.
        labels: Class of each, shape `(count,)`.
        parts: What each is for, `"train"`, `"validation"` or `"test"`, shape `(count,)`.
        class_names: One per class.
        groups: Of each, where pictures of one group stay on one side; None without.
        notes: What its maker should know of how it was read, one line each.
        not_pictures: Files that were passed over because their names are not those of pictures.
        empty: Sub-folders without pictures, which are no classes.
        broken: Files that were left out because they cannot be read, with the reason.
        doubles: Pictures that are nearly the same as one for something else: the name of each, and of the other.
    """

    root: Path
    names: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    class_names: tuple[str, ...]
    groups: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    not_pictures: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    broken: Mapping[str, str] = dataclasses.field(default_factory=dict)
    doubles: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def paths(self) -> np.ndarray:
        return np.array([str(self.root / name) for name in self.names], str)

    def members(self, part: str) -> np.ndarray:
        """Positions of the pictures of a part."""
        return np.flatnonzero(self.parts == part)

    def test_order(self) -> np.ndarray:
        """Positions of the test pictures in the order in which runs have them: the first are not all of one class."""
        return np.random.default_rng(0).permutation(self.members(TEST))

    @property
    def digest(self) -> str:
        """SHA-256 of the training pictures' names and classes."""
        lines = (f"{name}\t{self.class_names[label]}\n" for name, label, part in self._rows() if part == TRAIN)
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

    def leaving_out(self, broken: Mapping[int, str]) -> Listing:
        """The listing without files that cannot be read, by position, each with the reason; the classes stay.

        A class that has thereby lost its only training picture gets one of its others in its place.
        """
        kept = np.setdiff1d(np.arange(len(self.names)), list(broken))
        reasons = {str(self.names[position]): reason for position, reason in broken.items()}
        listing = dataclasses.replace(self.only(kept), broken={**self.broken, **reasons})
        labels, parts, groups = listing.labels, listing.parts, listing.groups
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            if not (parts[members] == TRAIN).any():
                moved = members[:1] if groups is None else np.flatnonzero(groups == groups[members[0]])
                parts[moved] = TRAIN
        return listing

    def only(self, kept: np.ndarray) -> Listing:
        """The listing of the pictures at these positions; the classes stay."""
        groups = None if self.groups is None else self.groups[kept]
        return dataclasses.replace(
            self, names=self.names[kept], labels=self.labels[kept], parts=self.parts[kept], groups=groups
        )

    def write(self, path: Path) -> None:
        """As a CSV file of path, label and split, from which `list_pictures` gives the same listing again."""
        rows = ((name, self.class_names[label], part) for name, label, part in self._rows())
        write_csv(path, ("path", "label", "split"), rows)

    def _rows(self) -> Iterable[tuple[str, int, str]]:
        return zip(self.names.tolist(), self.labels.tolist(), self.parts.tolist(), strict=True)


def list_pictures(
    source: str | Path,
    test: float | str | Path = 0.2,
    validation: float | str | Path = 0.0,
    seed: int = 0,
    root: str | Path | None = None,
    columns: Columns | None = None,
    fold: tuple[int, int] | None = None,
    corrections: str | Path | None = None,
) -> Listing:
    """The pictures of a folder or of a list, each for training, for validation or for testing.

    Args:
        source: A folder with one sub-folder per class (pictures may lie deeper), or with `train` and `test` (`valid`,
            ...) folders above those; a folder with `metadata.csv`; or a list, see `read_list`.
        test: Share of each class' pictures that is held out for testing, or another folder or list that holds them.
            Where the source says itself which are for testing, that stands. A class of two or more pictures keeps one
            for training and one for testing, of three or more also one for validation.
        validation: Likewise, to choose the best epoch and other settings on; 0 for none.
        seed: Which pictures are held out: a pure function of it and of the pictures' names.
        root: Folder that the paths in a list start from, or another file in it; default: the list's own.
        columns: Names of the columns of a list.
        fold: `(number, count)`: of so many parts of equal size, which is the test pictures, counted from 1; in place
            of a share.
        corrections: A list of path and label, such as an audit writes: the classes that these pictures really have, or
            `-` for one that is to be left out.

    Raises:
        DataNotFoundError: There are no pictures, or fewer than two classes; the message says what was looked for.
        UserError: A share or a list cannot be used; the message says why.
    """
    check_shares(test, validation)
    test, validation = (float(each) if isinstance(each, int) else each for each in (test, validation))
    source = Path(source)
    if not source.exists():
        raise DataNotFoundError(f"There is no folder or list {source}.")
    start = Path(root) if root is not None and not source.is_dir() else source
    folder = (start.parent if start.is_file() else start).resolve()
    found = _read(source, columns, folder)
    if fold is not None:
        check_fold(fold)
        _all_to_be_drawn(found, test)
    elif VALIDATION in found.parts and TEST not in found.parts and isinstance(test, float):
        found.notes.append("There are validation but no test pictures: the validation pictures are tested on.")
        found.parts = [TEST if part == VALIDATION else part for part in found.parts]
    for other, part in ((validation, VALIDATION), (test, TEST)):
        if not isinstance(other, float):
            found.extend(_elsewhere(Path(other), part, folder, columns))
    found.names = [_one_form(name, folder) for name in found.names]
    found.settle_doubles()
    if corrections is not None:
        corrected = read_list(Path(corrections), Columns(), folder)
        corrected.names = [_one_form(name, folder) for name in corrected.names]
        found.correct(Path(corrections), corrected)
    class_names = _in_order(found.classes)
    if len(class_names) < 2:
        raise DataNotFoundError(
            f"{source} has pictures of {len(class_names)} classes, at least 2 are needed: expected "
            + ("one sub-folder per class, with" if source.is_dir() else "a path and a label in each line, naming")
            + f" files that end in {', '.join(SUFFIXES[:6])}, ..."
            + (f" ({found.hint})" if found.hint else "")
        )
    numbers = {name: index for index, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name in found.classes], "int64")
    parts = _parts(found, labels, test, validation, seed, fold)
    notes = [*found.notes, *_too_few(labels, parts, class_names)]
    return Listing(
        folder,
        np.array(found.names, str),
        labels,
        parts,
        class_names,
        np.array(found.groups, str) if any(found.groups) else None,
        tuple(notes),
        tuple(found.not_pictures),
        tuple(found.empty),
    )


def check_shares(test: float | str | Path, validation: float | str | Path) -> None:
    """Raise `UserError` for shares that leave nothing to train or to test on."""
    if isinstance(test, (int, float)) and not 0 < test < 1:
        raise UserError(f"test must be a share above 0 and below 1, or a folder; received {test:g}.")
    if isinstance(validation, (int, float)) and not 0 <= validation < 1:
        raise UserError(f"validation must be a share from 0 and below 1, or a folder; received {validation:g}.")
    together = sum(each for each in (test, validation) if isinstance(each, (int, float)))
    if together >= 1:
        raise UserError(f"test and validation must leave pictures to train on, received shares of {together:g}.")


def _read(source: Path, columns: Columns | None, folder: Path) -> Found:
    columns = columns or Columns()
    return read_tree(source, columns) if source.is_dir() else read_list(source, columns, folder)


def _all_to_be_drawn(found: Found, test: float | str | Path) -> None:
    if not isinstance(test, float):
        raise UserError(f"With a fold, test pictures are drawn: leave test {test} out.")
    if any(found.parts):
        found.notes.append("Folds are made of all pictures: what the source says of train and test is passed over.")
        found.parts = [""] * len(found.parts)


def _one_form(name: str, folder: Path) -> str:
    """A name from the folder on, where it lies inside, else absolute: one file has one name."""
    path = os.path.normpath(folder / name)
    inside = os.path.relpath(path, folder)
    return path if inside.startswith("..") else inside.replace(os.sep, "/")


def _elsewhere(source: Path, part: str, folder: Path, columns: Columns | None) -> Found:
    """Pictures of one part that lie somewhere else."""
    if not source.exists():
        raise DataNotFoundError(f"{part} must be a share or a folder or list that exists; there is no {source}.")
    found = _read(source, columns, folder)
    if source.is_dir():  # else its names start from where those of the main list do
        inside = source.resolve()
        found.names = [str(inside / name) if inside != folder else name for name in found.names]
    found.parts = [part] * len(found.names)
    return found


def _parts(
    found: Found,
    labels: np.ndarray,
    test: float | str | Path,
    validation: float | str | Path,
    seed: int,
    fold: tuple[int, int] | None,
) -> np.ndarray:
    """What each picture is for: as the source says, and what it does not say drawn."""
    parts = np.array(found.parts, object)
    shares = {
        TEST: test if isinstance(test, float) and not (parts == TEST).any() else 0.0,
        VALIDATION: validation if isinstance(validation, float) and not (parts == VALIDATION).any() else 0.0,
    }
    parts[parts == ""] = TRAIN
    open_to = np.flatnonzero(parts == TRAIN)
    names, of = np.array(found.names, str)[open_to], labels[open_to]
    if fold is not None:
        _check_folds(found, open_to)
        parts[open_to] = fold_of(names, of, fold, shares[VALIDATION], seed, found.groups_of(open_to))
    elif any(found.groups):
        parts[open_to] = split_by_group(names, of, found.groups_of(open_to), shares, seed)
    else:
        parts[open_to] = split_by_class(names, of, shares, seed)
    split = sum(len(each) > 1 for each in _parts_of_groups(found, parts).values())
    if split:
        found.notes.append(
            f"{split} groups are on two sides, because the source says itself which pictures are for what."
        )
    return parts.astype(str)


def _parts_of_groups(found: Found, parts: np.ndarray) -> dict[str, set[str]]:
    of: dict[str, set[str]] = {}
    for group, part in zip(found.groups, parts, strict=True):
        if group:
            of.setdefault(group, set()).add(part)
    return of


def _check_folds(found: Found, open_to: np.ndarray) -> None:
    """Every class must be left to train on, whichever fold is tested."""
    groups: dict[str, set[str]] = {}
    for position, group in zip(open_to, found.groups_of(open_to), strict=True):
        groups.setdefault(found.classes[position], set()).add(group)
    alone = sorted(name for name, each in groups.items() if len(each) < 2)
    if alone:
        what = "group of pictures" if any(found.groups) else "picture"
        raise UserError(
            f"Folds need two {what}s or more of every class, {alone[0]!r} has one: leave the class out, or use a share "
            f"(test) in place of folds."
        )


def _in_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Sorted; where all are whole numbers, as numbers."""
    names = set(classes)
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _too_few(labels: np.ndarray, parts: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """What became of classes that do not have a picture for every part."""
    notes = []
    wanted = [part for part in (TRAIN, VALIDATION, TEST) if (parts == part).any()]
    for part in wanted[1:]:
        without = [name for index, name in enumerate(class_names) if part not in parts[labels == index]]
        if without:
            shown = ", ".join(without[:NAMED]) + (", ..." if len(without) > NAMED else "")
            classes = counted(len(without), "class has", "classes have")
            notes.append(f"{classes} too few pictures for {len(wanted)} parts and none for {part}: {shown}")
    return notes
