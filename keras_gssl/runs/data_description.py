"""What a run's folder says of its data: enough to use the classifier, and to load the data again."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_gssl.data.image_data import ImageData
from keras_gssl.data.imagenet import tiny_imagenet
from keras_gssl.data.pictures.arrays import image_arrays
from keras_gssl.data.pictures.folder import Reading, load_listing
from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.data.sources import cifar10_lt, cifar100_lt, digits_lt
from keras_gssl.errors import UserError
from keras_gssl.files import read_json, replacing, write_csv, write_json
from keras_gssl.runs.folder import RunFolder

SAMPLE_COUNT = 16
#: The functions that `ImageData.source` may name, and with them `image_folder`, whose pictures are listed with the run.
SOURCES = {each.__name__: each for each in (cifar10_lt, cifar100_lt, digits_lt, image_arrays, tiny_imagenet)}


def write_description(folder: RunFolder, data: ImageData) -> None:
    """Write what is known of the data before the first epoch."""
    write_json(folder.data, describe(data))
    if data.listing is not None:
        data.listing.write(folder.pictures)
        if data.listing.doubles:
            write_csv(folder.doubles, ("path", "nearly the same as"), data.listing.doubles.items())
    with replacing(folder.samples) as partial:
        np.savez(partial, images=data.test_images[:SAMPLE_COUNT], labels=data.test_labels[:SAMPLE_COUNT])


def describe(data: ImageData) -> dict[str, Any]:
    """What a user of the classifier has to know about the data it was trained on."""
    return {
        "name": data.name,
        "class_names": list(data.class_names),
        "class_counts": data.class_counts,
        "image_shape": list(data.image_shape),
        "mean": list(data.mean),
        "std": list(data.std),
        "subset_sha256": data.subset_hash,
        "test_images": len(data.test_labels),
        "validation_images": 0 if data.validation_labels is None else len(data.validation_labels),
        "doubles": 0 if data.listing is None else len(data.listing.doubles),
        "source": data.source,
    }


def scaled_as(folder: RunFolder, data: ImageData) -> ImageData:
    """The data with the mean and standard deviation with which the run was begun."""
    about = read_json(folder.data)
    return dataclasses.replace(data, mean=tuple(about["mean"]), std=tuple(about["std"]))


def reload_data(folder: RunFolder, data_dir: str | None = None) -> ImageData:
    """The data set that a run was made with.

    Args:
        folder: The run.
        data_dir: Where the data set is now, if not where its own default says.

    Raises:
        UserError: The run was made with arrays, which are not kept.
    """
    about = read_json(folder.data)
    source = dict(about.get("source") or {})
    if not source:
        raise UserError(f"The data of the run in {folder.path} cannot be loaded again: it was given as arrays.")
    function, head = source.pop("function"), source.pop("head", None)
    if function == "image_folder":
        root, name = source.pop("root"), source.pop("name")
        listing = list_pictures(folder.pictures, root=data_dir or root)
        loaded = load_listing(listing, Reading(cache="disk", **source), name, about)
    else:
        if data_dir is not None:
            if "data_dir" not in source:
                raise UserError(f"{about['name']} does not come from a folder: leave data_dir out.")
            source["data_dir"] = data_dir
        loaded = SOURCES[function](**source)
    return loaded.head(*head) if head else loaded
