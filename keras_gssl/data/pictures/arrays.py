"""From a data set that comes as arrays to `ImageData`, split like one's own picture files."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_gssl.data.image_data import ImageData, from_arrays
from keras_gssl.data.pictures.archives import Archive, as_pictures, read_archive
from keras_gssl.data.pictures.decode import DepthRange, as_square, range_up_to
from keras_gssl.data.pictures.found import TEST, TRAIN, VALIDATION
from keras_gssl.data.pictures.listing import check_shares
from keras_gssl.data.pictures.reading import Reading
from keras_gssl.data.pictures.split import split_by_class
from keras_gssl.errors import UserError


def image_arrays(
    source: str,
    image_size: int = 64,
    test: float = 0.2,
    validation: float = 0.0,
    split_seed: int = 0,
    data_dir: str | None = None,
    **reading: Any,
) -> ImageData:
    """Pictures of an `.npz` file, of a folder of CIFAR's Python batches, or of `tfds:NAME`, brought to one size.

    Args:
        source: See `read_archive`.
        image_size: Side of the square that every picture is brought to, in pixels; even.
        test, validation: Shares of each class, where the data set does not have these parts itself.
        split_seed: Which pictures are held out.
        data_dir: Folder of tensorflow-datasets.
        **reading: `fit`, `depth_range` and `horizontal_flip` of `Reading`.

    Raises:
        UserError: The source cannot be used; the message says why.

    Example:

    >>> data = gssl.data.image_arrays("bloodmnist.npz", image_size=28, validation=0.1)  # doctest: +SKIP
    """
    check_shares(test, validation)
    how = Reading(image_size, **reading)
    archive = _split(read_archive(source, data_dir), test, validation, split_seed)
    depth_range = how.depth_range or _depth_range(archive)
    squares = {
        part: np.stack([as_square(each, image_size, how.fit, depth_range) for each in as_pictures(images)])
        for part, images in archive.images.items()
        if len(images)
    }
    if not {TRAIN, TEST} <= set(squares):
        raise UserError(f"{source} has no pictures for training, or none for testing.")
    data = from_arrays(
        squares[TRAIN],
        archive.labels[TRAIN],
        squares[TEST],
        archive.labels[TEST],
        archive.class_names,
        crop_padding=image_size // 8,
        horizontal_flip=how.horizontal_flip,
        name=source.rsplit("/", 1)[-1].removesuffix(".npz"),
    )
    missing = [name for name, count in zip(data.class_names, data.class_counts, strict=True) if not count]
    if missing:
        raise UserError(f"{source} has no training picture of class {missing[0]!r}.")
    return dataclasses.replace(
        data,
        validation_images=squares.get(VALIDATION),
        validation_labels=archive.labels[VALIDATION] if VALIDATION in squares else None,
        source={
            "function": "image_arrays", "source": source, "image_size": image_size, "test": test,
            "validation": validation, "split_seed": split_seed, "data_dir": data_dir, "fit": how.fit,
            "horizontal_flip": how.horizontal_flip,
            **({"depth_range": list(depth_range)} if depth_range else {}),
        },
    )  # fmt: skip


def _split(archive: Archive, test: float, validation: float, seed: int) -> Archive:
    """With the parts that the data set does not have itself drawn from its training pictures."""
    shares = {TEST: test, VALIDATION: validation}
    shares = {part: share for part, share in shares.items() if part not in archive.images and share}
    if not shares:
        return archive
    labels = archive.labels.get(TRAIN, np.zeros(0, int))
    if not len(labels):
        raise UserError("The data set has no training pictures.")
    parts = split_by_class([f"{index:09d}" for index in range(len(labels))], labels, shares, seed)
    images, of = dict(archive.images), dict(archive.labels)
    for part in (TRAIN, *shares):
        chosen = np.flatnonzero(parts == part)
        images[part] = [archive.images[TRAIN][index] for index in chosen]
        of[part] = labels[chosen]
    return Archive(images, of, archive.class_names)


def _depth_range(archive: Archive) -> DepthRange | None:
    """As `depth_range_of` for files."""
    deep = [each for images in archive.images.values() for each in images if each.dtype != np.uint8]
    return range_up_to(max(float(each.max()) for each in deep)) if deep else None
