"""Your own pictures: from a listing of files to `ImageData`, in memory or streamed from disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pictures.decode import depth_range_of, read_all
from keras_gssl.data.pictures.duplicates import find_duplicates, fingerprints_of
from keras_gssl.data.pictures.files import ImageFiles, fits_in_memory
from keras_gssl.data.pictures.found import TRAIN, VALIDATION, Columns
from keras_gssl.data.pictures.listing import Listing, list_pictures
from keras_gssl.data.pictures.reading import Reading
from keras_gssl.data.pictures.streamed import PictureFiles
from keras_gssl.errors import UserError, counted

STATISTICS_FROM = 2000  # pictures that mean and standard deviation are taken from, at the most
CHUNK = 100
SMALLEST_STD = 1e-3


def image_folder(
    source: str | Path,
    image_size: int = 64,
    test: float | str | Path = 0.2,
    validation: float | str | Path = 0.0,
    split_seed: int = 0,
    root: str | Path | None = None,
    columns: Columns | None = None,
    fold: tuple[int, int] | None = None,
    corrections: str | Path | None = None,
    **reading: Any,
) -> ImageData:
    """Your own pictures, from a folder with a sub-folder per class or a list.

    Args:
        source, test, validation, root, columns, fold, corrections: See `list_pictures`.
        image_size: Side of the square that every picture is brought to, in pixels; even.
        split_seed: Which pictures are held out.
        **reading: See `Reading`.

    Returns:
        `ImageData` whose class names are the sub-folders' names, sorted.

    Raises:
        UserError: A picture cannot be read, and `skip_broken` is not set; the message names the first.

    Example:

    >>> data = gssl.data.image_folder("photos", image_size=64, validation=0.1)  # doctest: +SKIP
    """
    listing = list_pictures(source, test, validation, split_seed, root, columns, fold, corrections)
    return load_listing(listing, Reading(image_size, **reading), Path(source).name)


def load_listing(
    listing: Listing, reading: Reading, name: str = "pictures", known: Mapping[str, Any] | None = None
) -> ImageData:
    """The pictures of a listing.

    Args:
        listing: Files.
        reading: How they are read.
        name: For reports.
        known: `data.json` of a run that was made with this listing: its pictures must all be there still, and its mean
            and standard deviation are taken.
    """
    shape = (reading.image_size, reading.image_size, 3)
    if reading.depth_range is None and known is None:
        reading = dataclasses.replace(reading, depth_range=depth_range_of(listing.paths))
        if reading.depth_range is not None:
            told = " to ".join(f"{each:g}" for each in reading.depth_range)
            notes = (*listing.notes, f"Pictures of more than 8 bits are read as black to white from {told}.")
            listing = dataclasses.replace(listing, notes=notes)
    listing, everything = _read(listing, reading, shape, known is not None)
    train, validation = listing.members(TRAIN), listing.members(VALIDATION)
    test = listing.test_order()
    missing = [each for index, each in enumerate(listing.class_names) if not (listing.labels[train] == index).any()]
    if missing or not len(test):
        what = f"class {missing[0]!r} has no training picture" if missing else "no class has a picture to hold out"
        why = " (pictures that are there twice were dropped: see duplicates)" if listing.doubles else ""
        raise UserError(f"Of the readable pictures, {what}{why}: add pictures, or remove the class.")
    mean, std = (known["mean"], known["std"]) if known is not None else _statistics(everything[train])
    return ImageData(
        train_images=everything[train],
        train_labels=listing.labels[train],
        test_images=everything[test],
        test_labels=listing.labels[test],
        validation_images=everything[validation] if len(validation) else None,
        validation_labels=listing.labels[validation] if len(validation) else None,
        class_names=listing.class_names,
        mean=tuple(mean),
        std=tuple(std),
        crop_padding=reading.image_size // 8,
        horizontal_flip=reading.horizontal_flip,
        name=name,
        source={
            "function": "image_folder",
            "root": str(listing.root),
            "image_size": reading.image_size,
            "fit": reading.fit,
            "horizontal_flip": reading.horizontal_flip,
            "name": name,
            **({"depth_range": list(reading.depth_range)} if reading.depth_range is not None else {}),
        },
        listing=listing,
    )


def _read(
    listing: Listing, reading: Reading, shape: tuple[int, int, int], begun: bool
) -> tuple[Listing, np.ndarray | PictureFiles]:
    """The pictures, in memory or not, and the listing of those that can be used."""
    in_memory = fits_in_memory(len(listing.names) * int(np.prod(shape)), reading.cache)
    fingerprints: np.ndarray | None = None
    if begun and not in_memory:
        broken = {i: "it is not there" for i, path in enumerate(listing.paths) if not Path(path).exists()}
        images = None
    else:
        look_at = None
        if reading.duplicates != "ignore" and not begun:
            fingerprints, look_at = fingerprints_of(len(listing.names))
        images, broken = read_all(
            listing.paths, reading.image_size, reading.fit, in_memory, reading.depth_range, look_at
        )
    if broken and (begun or not reading.skip_broken):
        _stop(listing, broken, begun)
    kept = np.setdiff1d(np.arange(len(listing.names)), list(broken))
    listing = listing.leaving_out(broken) if broken else listing
    everything = (
        images[kept] if images is not None else PictureFiles(listing.paths, shape, reading.fit, reading.depth_range)
    )
    if fingerprints is not None:
        listing, everything = _without_doubles(listing, everything, fingerprints[kept], reading.duplicates == "drop")
    return listing, everything


def _without_doubles(
    listing: Listing, everything: np.ndarray | PictureFiles, fingerprints: np.ndarray, drop: bool
) -> tuple[Listing, np.ndarray | PictureFiles]:
    """Notes the pictures that are on two sides of the split, or leaves those out that are held out."""
    pairs = find_duplicates(fingerprints, listing.parts, lambda i: np.asarray(everything[np.array([i])])[0])
    if not pairs:
        return listing, everything
    doubles = {str(listing.names[pair.held_out]): str(listing.names[pair.other]) for pair in pairs}
    one, other = next(iter(doubles.items()))
    told = (
        f"{counted(len(doubles), 'picture for validation or testing is', 'pictures for validation or testing are')} "
        f"the same as one for something else, or nearly, first {one} and {other}"
    )
    notes = (*listing.notes, f"{told}: {'they are left out' if drop else 'the figures on them are too good'}.")
    listing = dataclasses.replace(listing, notes=notes, doubles=doubles)
    if not drop:
        return listing, everything
    kept = np.setdiff1d(np.arange(len(listing.names)), [pair.held_out for pair in pairs])
    return listing.only(kept), everything[kept]


def _stop(listing: Listing, broken: Mapping[int, str], begun: bool) -> None:
    position, reason = next(iter(broken.items()))
    told = f"{len(broken)} of {len(listing.names)} pictures cannot be read, first {listing.paths[position]} ({reason})"
    if begun:
        raise UserError(
            f"{told}, although the run was made with them: put them back, or say where their folder is now "
            f"(source; for exports data_dir)."
        )
    if len(broken) == len(listing.names):
        raise UserError(f"{told}: say which folder the paths start from (root).")
    raise UserError(f"{told}: mend or remove them, or leave them out (skip_broken).")


def _statistics(images: np.ndarray | ImageFiles) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel on the scale 0-1, of some of the images, a few at a time."""
    chosen = np.arange(0, len(images), -(-len(images) // STATISTICS_FROM))
    count, total, squares = 0, np.zeros(3), np.zeros(3)
    for start in range(0, len(chosen), CHUNK):
        pixels = np.asarray(images[chosen[start : start + CHUNK]]).reshape(-1, 3) / 255
        count, total, squares = count + len(pixels), total + pixels.sum(axis=0), squares + (pixels**2).sum(axis=0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    if std.min() < SMALLEST_STD:
        channel = ("red", "green", "blue")[int(std.argmin())]
        raise UserError(f"The {channel} of all pictures has nearly one value: are they empty?")
    return mean.tolist(), std.tolist()
