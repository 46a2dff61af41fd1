"""Your own pictures: from a listing of files to `ImageData`, in memory or streamed from disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pictures.decode import FITS, PictureError, read_all, read_picture
from keras_gssl.data.pictures.files import ImageFiles, fits_in_memory
from keras_gssl.data.pictures.listing import Listing, list_pictures
from keras_gssl.errors import UserError

STATISTICS_FROM = 2000  # pictures that mean and standard deviation are taken from, at the most
CHUNK = 100
SMALLEST_STD = 1e-3


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
        fit: `"crop"` or `"pad"`: how pictures that are not square are made so; see `read_picture`.
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
    return load_listing(listing, image_size, fit, skip_broken, cache, horizontal_flip, Path(source).name)


def load_listing(
    listing: Listing,
    image_size: int,
    fit: str = "crop",
    skip_broken: bool = False,
    cache: str = "auto",
    horizontal_flip: bool = True,
    name: str = "pictures",
    known: Mapping[str, Any] | None = None,
) -> ImageData:
    """The pictures of a listing.

    Args:
        listing: Files.
        image_size, fit, skip_broken, cache, horizontal_flip: See `image_folder`.
        name: For reports.
        known: `data.json` of a run that was made with this listing: its pictures must all be there still, and its mean
            and standard deviation are taken.
    """
    if image_size < 8 or image_size % 2:
        raise UserError(f"image_size must be even and at least 8, received {image_size}.")
    if fit not in FITS:
        raise UserError(f"fit must be one of {', '.join(FITS)}; received {fit!r}.")
    shape = (image_size, image_size, 3)
    in_memory = fits_in_memory(len(listing.names) * int(np.prod(shape)), cache)
    if known is not None and not in_memory:
        broken = {i: "it is not there" for i, path in enumerate(listing.paths) if not Path(path).exists()}
        images = None
    else:
        images, broken = read_all(listing.paths, image_size, fit, keep=in_memory)
    if broken and (known is not None or not skip_broken):
        _stop(listing, broken, known is not None)
    kept = np.setdiff1d(np.arange(len(listing.names)), list(broken))
    if broken:
        listing = listing.leaving_out(broken)
    everything = images[kept] if images is not None else PictureFiles(listing.paths, shape, fit)
    train = np.flatnonzero(~listing.held_out)
    # In an order of its own, so that the first ones are not all of one class.
    test = np.random.default_rng(0).permutation(np.flatnonzero(listing.held_out))
    missing = [name for index, name in enumerate(listing.class_names) if not (listing.labels[train] == index).any()]
    if missing or not len(test):
        what = f"class {missing[0]!r} has no training picture" if missing else "no class has a picture to hold out"
        raise UserError(f"Of the readable pictures, {what}: add pictures, or remove the class.")
    mean, std = (known["mean"], known["std"]) if known is not None else _statistics(everything[train])
    return ImageData(
        train_images=everything[train],
        train_labels=listing.labels[train],
        test_images=everything[test],
        test_labels=listing.labels[test],
        class_names=listing.class_names,
        mean=tuple(mean),
        std=tuple(std),
        crop_padding=image_size // 8,
        horizontal_flip=horizontal_flip,
        name=name,
        source={
            "function": "image_folder",
            "root": str(listing.root),
            "image_size": image_size,
            "fit": fit,
            "horizontal_flip": horizontal_flip,
            "name": name,
        },
        listing=listing,
    )


def _stop(listing: Listing, broken: Mapping[int, str], begun: bool) -> None:
    position, reason = next(iter(broken.items()))
    told = f"{len(broken)} of {len(listing.names)} pictures cannot be read, first {listing.paths[position]} ({reason})"
    if begun:
        raise UserError(
            f"{told}, although the run was made with them: put them back, or say where their folder is now "
            f"(source; for exports data_dir)."
        )
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


class PictureFiles(ImageFiles):
    """Pictures of any kind that stay on disk and are brought to one size when a batch needs them."""

    def __init__(self, paths: Sequence[str] | np.ndarray, image_shape: tuple[int, int, int], fit: str = "crop"):
        super().__init__(paths, image_shape)
        self.fit = fit

    def __getitem__(self, index: slice | np.ndarray) -> PictureFiles:
        return PictureFiles(self.paths[index], self.image_shape, self.fit)

    def check(self) -> None:
        for path in self.paths:
            try:
                read_picture(path, self.image_shape[0], self.fit)
            except PictureError as error:
                raise UserError(f"Cannot read the picture {path}: {error}") from error

    def _decode(self, path: tf.Tensor) -> tf.Tensor:
        def read(name: Any) -> np.ndarray:
            return read_picture(np.asarray(name).item().decode(), self.image_shape[0], self.fit)

        return tf.ensure_shape(tf.numpy_function(read, [path], tf.uint8, stateful=False), self.image_shape)
