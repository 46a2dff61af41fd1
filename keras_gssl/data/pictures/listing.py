"""Which pictures there are, of which classes, and which of them are held out for testing."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_gssl.data.pictures.decode import SUFFIXES, is_picture
from keras_gssl.errors import DataNotFoundError, UserError
from keras_gssl.files import replacing

TRAIN, TEST = "train", "test"


@dataclasses.dataclass(frozen=True)
class Listing:
    """Picture files, their classes, and which of them are held out.

    Attributes:
        root: The folder that the names start from.
        names: Of the files, with `/` between folders.
        labels: Class of each, shape `(count,)`.
        held_out: Whether each is a test picture, shape `(count,)`.
        class_names: One per class.
        not_pictures: Files that were passed over because their names are not those of pictures.
        empty: Sub-folders without pictures, which are no classes.
        broken: Files that were left out because they cannot be read, with the reason.
    """

    root: Path
    names: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray
    class_names: tuple[str, ...]
    not_pictures: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    broken: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def paths(self) -> np.ndarray:
        return np.array([str(self.root / name) for name in self.names], str)

    @property
    def digest(self) -> str:
        """SHA-256 of the training pictures' names and classes."""
        lines = (f"{name}\t{self.class_names[label]}\n" for name, label, held_out in self._rows() if not held_out)
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

    def leaving_out(self, broken: Mapping[int, str]) -> Listing:
        """The listing without some files, by position, each with the reason; the classes stay.

        A class that has thereby lost its only training picture gets one of its test pictures in its place.
        """
        kept = np.setdiff1d(np.arange(len(self.names)), list(broken))
        labels, held_out = self.labels[kept], self.held_out[kept].copy()
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            if held_out[members].all():
                held_out[members[0]] = False
        reasons = {str(self.names[position]): reason for position, reason in broken.items()}
        return dataclasses.replace(self, names=self.names[kept], labels=labels, held_out=held_out, broken=reasons)

    def write(self, path: Path) -> None:
        """As a CSV file of path, label and split, from which `list_pictures` gives the same listing again."""
        with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("path", "label", "split"))
            for name, label, held_out in self._rows():
                rows.writerow((name, self.class_names[label], TEST if held_out else TRAIN))

    def _rows(self) -> Iterable[tuple[str, int, bool]]:
        return zip(self.names, self.labels, self.held_out, strict=True)


def list_pictures(source: str | Path, held_out: float = 0.2, seed: int = 0, root: str | Path | None = None) -> Listing:
    """The pictures of a folder or a CSV file, split into training and test pictures.

    Args:
        source: A folder with one sub-folder per class (pictures may lie deeper), or a CSV file with the columns `path`
            and `label`; with a third column `split` (`train` or `test`) that split is taken.
        held_out: Share of each class' pictures that is held out for testing. A class of two or more pictures keeps at
            least one of each kind; a class' only picture is trained on.
        seed: Which pictures are held out: a pure function of it and of the pictures' names.
        root: Folder that the paths in a CSV file start from, or another file in it; default: the file's own.

    Raises:
        DataNotFoundError: There are no pictures, or fewer than two classes; the message says what was looked for.
    """
    source = Path(source)
    if not 0 < held_out < 1:
        raise UserError(f"held_out must be above 0 and below 1, received {held_out:g}.")
    if not source.exists():
        raise DataNotFoundError(f"There is no folder or CSV file {source}.")
    start = Path(root) if root is not None and not source.is_dir() else source
    folder = start.parent if start.is_file() else start
    found = _from_folder(source) if source.is_dir() else _from_csv(source)
    class_names = tuple(sorted(set(found.classes)))
    if len(class_names) < 2:
        raise DataNotFoundError(
            f"{source} has pictures of {len(class_names)} classes, at least 2 are needed: expected "
            + ("one sub-folder per class, with" if source.is_dir() else "columns path and label, naming")
            + f" files that end in {', '.join(SUFFIXES[:6])}, ..."
        )
    numbers = {name: index for index, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name in found.classes], "int64")
    chosen = [split == TEST for split in found.splits] if found.splits else None
    return Listing(
        folder.resolve(),
        np.array(found.names, str),
        labels,
        np.array(chosen) if chosen is not None else hold_out(found.names, labels, held_out, seed),
        class_names,
        tuple(found.not_pictures),
        tuple(found.empty),
    )


def hold_out(names: Sequence[str], labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which pictures are held out, class by class: shape `(count,)`, bool."""
    chosen = np.zeros(len(names), bool)
    order = np.argsort(np.asarray(names, str), kind="stable")
    for label in np.unique(labels):
        members = order[labels[order] == label]
        count = min(len(members) - 1, max(1, round(share * len(members))))
        # A seed per class: pictures that come to one class leave the split of the others as it was.
        chosen[np.random.default_rng([seed, int(label)]).permutation(members)[:count]] = True
    return chosen


@dataclasses.dataclass
class _Found:
    names: list[str] = dataclasses.field(default_factory=list)
    classes: list[str] = dataclasses.field(default_factory=list)
    splits: list[str] = dataclasses.field(default_factory=list)
    not_pictures: list[str] = dataclasses.field(default_factory=list)
    empty: list[str] = dataclasses.field(default_factory=list)


def _from_folder(folder: Path) -> _Found:
    found = _Found()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):  # what editors and notebooks keep there
            continue
        if path.is_dir():
            if len(name.parts) == 1:
                found.empty.append(path.name)
        elif len(name.parts) > 1 and is_picture(path):
            found.names.append(name.as_posix())
            found.classes.append(name.parts[0])
        else:
            found.not_pictures.append(name.as_posix())
    filled = set(found.classes)
    found.empty = [name for name in found.empty if name not in filled]
    return found


def _from_csv(path: Path) -> _Found:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataNotFoundError(f"Cannot read {path} as a CSV file in UTF-8: {error}.") from error
    if not {"path", "label"} <= set(columns):
        raise DataNotFoundError(
            f"{path}: expected a first line with the columns path and label, received {', '.join(columns) or 'none'}."
        )
    for number, row in enumerate(rows, start=2):
        if not row["path"] or not row["label"]:
            raise DataNotFoundError(f"{path}, line {number}: expected a path and a label, received {row}.")
        if "split" in columns and row["split"] not in (TRAIN, TEST):
            raise DataNotFoundError(f"{path}, line {number}: split must be train or test, received {row['split']!r}.")
    return _Found(
        [row["path"] for row in rows],
        [row["label"] for row in rows],
        [row["split"] for row in rows] if "split" in columns else [],
    )
