"""Your own pictures: a folder with a sub-folder per class, or a CSV file of paths and labels."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_gssl.data.image_data import ImageData
from keras_gssl.data.image_files import ImageFiles, fits_in_memory
from keras_gssl.data.sources import DataNotFoundError
from keras_gssl.errors import UserError
from keras_gssl.pictures import FITS, SUFFIXES, is_picture, read_all, read_picture

TRAIN, TEST = "train", "test"
STATISTICS_FROM = 2000  # pictures that mean and standard deviation are taken from


@dataclasses.dataclass(frozen=True)
class Listing:
    """Picture files, their classes, and which of them are held out.

    Attributes:
        paths: Absolute, as text.
        labels: Class of each, shape `(count,)`.
        held_out: Whether each is a test picture, shape `(count,)`.
        class_names: One per class.
        not_pictures: Files that were passed over because their names are not those of pictures.
    """

    paths: np.ndarray
    labels: np.ndarray
    held_out: np.ndarray
    class_names: tuple[str, ...]
    not_pictures: tuple[str, ...] = ()

    def leaving_out(self, paths: Iterable[str]) -> Listing:
        """The listing without some files; the classes stay."""
        kept = ~np.isin(self.paths, list(paths))
        return dataclasses.replace(self, paths=self.paths[kept], labels=self.labels[kept], held_out=self.held_out[kept])

    def write(self, path: Path) -> None:
        """As a CSV file of path, label and split, from which `list_pictures` gives the same listing again."""
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("path", "label", "split"))
            for name, label, held_out in zip(self.paths, self.labels, self.held_out, strict=True):
                rows.writerow((name, self.class_names[label], TEST if held_out else TRAIN))
        os.replace(partial, path)


def list_pictures(source: str | Path, held_out: float = 0.2, seed: int = 0) -> Listing:
    """The pictures of a folder or a CSV file, split into training and test pictures.

    Args:
        source: A folder with one sub-folder per class (pictures may lie deeper), or a CSV file with the columns `path`
            (relative to the file's folder) and `label`; with a third column `split` (`train` or `test`) that split is
            taken.
        held_out: Share of each class' pictures that is held out for testing. A class of two or more pictures keeps at
            least one of each kind; a class' only picture is trained on.
        seed: Which pictures are held out: a pure function of it and of the pictures' names.

    Raises:
        DataNotFoundError: There are no pictures, or fewer than two classes; the message says what was looked for.
    """
    source = Path(source)
    if not 0 < held_out < 1:
        raise UserError(f"held_out must be above 0 and below 1, received {held_out:g}.")
    if not source.exists():
        raise DataNotFoundError(f"There is no folder or CSV file {source}.")
    names, classes, splits, not_pictures = _from_folder(source) if source.is_dir() else _from_csv(source)
    class_names = tuple(sorted(set(classes)))
    if len(class_names) < 2:
        raise DataNotFoundError(
            f"{source} has pictures of {len(class_names)} classes, at least 2 are needed: expected "
            + ("one sub-folder per class, with" if source.is_dir() else "columns path and label, naming")
            + f" files that end in {', '.join(SUFFIXES[:6])}, ..."
        )
    numbers = {name: index for index, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name in classes], "int64")
    base = source if source.is_dir() else source.parent
    return Listing(
        np.array([str((base / name).resolve()) for name in names], str),
        labels,
        np.array([split == TEST for split in splits]) if splits else hold_out(names, labels, held_out, seed),
        class_names,
        tuple(not_pictures),
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


def image_folder(
    source: str | Path,
    image_size: int = 64,
    held_out: float = 0.2,
    split_seed: int = 0,
    fit: str = "crop",
    skip_broken: bool = False,
    cache: str = "auto",
    horizontal_flip: bool = True,
) -> ImageData:
    """Your own pictures, from a folder with a sub-folder per class or a CSV file.

    Args:
        source: See `list_pictures`.
        image_size: Side of the square that every picture is brought to, in pixels; even.
        held_out: Share of each class that is held out for testing.
        split_seed: Which pictures are held out.
        fit: `"crop"` or `"pad"`: how pictures that are not square are made so; see `keras_gssl.pictures.read_picture`.
        skip_broken: Leave unreadable files out instead of raising an error.
        cache: `"memory"` decodes all pictures once, `"disk"` decodes each when a batch needs it, `"auto"` chooses
            memory if that takes less than half of what is free.
        horizontal_flip: Whether training pictures are mirrored at random.

    Returns:
        `ImageData` whose class names are the sub-folders' names, sorted.

    Raises:
        UserError: A picture cannot be read, and `skip_broken` is not set; the message names the first.

    Example:

    >>> data = gssl.data.image_folder("photos", image_size=64)  # doctest: +SKIP
    """
    listing = list_pictures(source, held_out, split_seed)
    return load_listing(listing, image_size, fit, skip_broken, cache, horizontal_flip, Path(source).name)[0]


def load_listing(
    listing: Listing,
    image_size: int,
    fit: str = "crop",
    skip_broken: bool = False,
    cache: str = "auto",
    horizontal_flip: bool = True,
    name: str = "pictures",
) -> tuple[ImageData, dict[str, str]]:
    """The pictures of a listing, and the broken files that were left out, each with the reason."""
    if image_size < 8 or image_size % 2:
        raise UserError(f"image_size must be even and at least 8, received {image_size}.")
    if fit not in FITS:
        raise UserError(f"fit must be one of {', '.join(FITS)}; received {fit!r}.")
    size = len(listing.paths) * 3 * image_size**2
    in_memory = fits_in_memory(size, cache)
    images, reasons = read_all(listing.paths, image_size, fit, keep=in_memory)
    broken = {str(listing.paths[position]): reason for position, reason in reasons.items()}
    if broken and not skip_broken:
        first, reason = next(iter(broken.items()))
        raise UserError(
            f"{len(broken)} of {len(listing.paths)} pictures cannot be read, first {first} ({reason}): mend or remove "
            f"them, or leave them out with --skip-broken."
        )
    kept = np.setdiff1d(np.arange(len(listing.paths)), list(reasons))
    listing = listing.leaving_out(broken)
    everything: np.ndarray | ImageFiles = (
        images[kept] if images is not None else PictureFiles(listing.paths, (image_size, image_size, 3), fit)
    )
    train, test = np.flatnonzero(~listing.held_out), np.flatnonzero(listing.held_out)
    missing = [name for index, name in enumerate(listing.class_names) if not (listing.labels[train] == index).any()]
    if missing or not len(test):
        what = f"class {missing[0]!r} has no training picture" if missing else "no class has a picture to hold out"
        raise UserError(f"Of the readable pictures, {what}: add pictures, or remove the class.")
    statistics = np.asarray(everything[train[:: max(1, len(train) // STATISTICS_FROM)]])
    pixels = statistics.reshape(-1, 3) / 255
    return ImageData(
        train_images=everything[train],
        train_labels=listing.labels[train],
        test_images=everything[test],
        test_labels=listing.labels[test],
        class_names=listing.class_names,
        mean=tuple(pixels.mean(axis=0).tolist()),
        std=tuple(pixels.std(axis=0).clip(1e-3).tolist()),
        crop_padding=image_size // 8,
        horizontal_flip=horizontal_flip,
        name=name,
        # Without the listing, which a run keeps as a CSV file: a folder may change.
        source={
            "function": "image_folder",
            "image_size": image_size,
            "fit": fit,
            "skip_broken": skip_broken,
            "cache": cache,
            "horizontal_flip": horizontal_flip,
        },
    ), broken


class PictureFiles(ImageFiles):
    """Pictures of any kind that stay on disk and are brought to one size when a batch needs them."""

    def __init__(self, paths: Sequence[str] | np.ndarray, image_shape: tuple[int, int, int], fit: str = "crop"):
        super().__init__(paths, image_shape)
        self.fit = fit

    def __getitem__(self, index: slice | np.ndarray) -> PictureFiles:
        return PictureFiles(self.paths[index], self.image_shape, self.fit)

    def _decode(self, path: tf.Tensor) -> tf.Tensor:
        def read(name: bytes) -> np.ndarray:
            return read_picture(name.decode(), self.image_shape[0], self.fit)

        return tf.ensure_shape(tf.numpy_function(read, [path], tf.uint8, stateful=False), self.image_shape)


def _from_folder(folder: Path) -> tuple[list[str], list[str], list[str], list[str]]:
    names, classes, others = [], [], []
    for directory in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            if is_picture(path):
                names.append(path.relative_to(folder).as_posix())
                classes.append(directory.name)
            elif not path.name.startswith("."):
                others.append(path.relative_to(folder).as_posix())
    others += sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return names, classes, [], others


def _from_csv(path: Path) -> tuple[list[str], list[str], list[str], list[str]]:
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
    return (
        [row["path"] for row in rows],
        [row["label"] for row in rows],
        [row["split"] for row in rows] if "split" in columns else [],
        [],
    )
