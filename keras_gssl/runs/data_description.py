"""What a run's folder says of its data: enough to use the classifier, and to know the data again."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_gssl.errors import UserError
from keras_gssl.files import remove, replacing, write_csv, write_json
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.manifest import DamagedFileError

if TYPE_CHECKING:
    from keras_gssl.data.image_data import ImageData

SAMPLE_COUNT = 16
HASHED = 64  # pictures of a part


def write_description(folder: RunFolder, data: ImageData) -> None:
    """Write what is known of the data before the first epoch, in place of what a run left that died while it did so."""
    for path in (folder.pictures, folder.doubles, folder.manifest.path):  # not every run writes the first two
        remove(path)
    write_json(folder.data, describe(data))
    written = [folder.data]
    if data.listing is not None:
        data.listing.write(folder.pictures)
        written.append(folder.pictures)
        if data.listing.doubles:
            write_csv(folder.doubles, ("path", "nearly the same as"), data.listing.doubles.items())
            written.append(folder.doubles)
    with replacing(folder.samples) as partial:
        np.savez(partial, images=data.test_images[:SAMPLE_COUNT], labels=data.test_labels[:SAMPLE_COUNT])
    for path in (*written, folder.samples):
        folder.manifest.note(path)


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
        "content_sha256": content_hash(data),
        "test_images": len(data.test_labels),
        "validation_images": 0 if data.validation_labels is None else len(data.validation_labels),
        "doubles": 0 if data.listing is None else len(data.listing.doubles),
        "source": data.source,
    }


def content_hash(data: ImageData) -> str:
    """SHA-256 of some of the pictures, spread over the data set, after the kind of what was looked at.

    Files are looked at as they are, whether their pixels are in memory or not: another library may decode them a little
    otherwise.
    """
    digest = hashlib.sha256()
    paths = getattr(data.train_images, "paths", None) if data.listing is None else data.listing.paths
    if paths is None:
        for images in (data.train_images, data.test_images):
            digest.update(np.ascontiguousarray(_spread(images)).tobytes())
        return f"pixels {digest.hexdigest()}"
    for path in _spread(paths):
        digest.update(Path(path).read_bytes())
    return f"files {digest.hexdigest()}"


def _spread(pictures: Any) -> Any:
    """Some of many, from the first to the last."""
    return pictures[np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), HASHED)).astype(int))]


def read_description(folder: RunFolder) -> dict[str, Any]:
    """What `data.json` says, or `DamagedFileError` where it is not what a run writes."""
    about = folder.read_json(folder.data)
    names, counts = about.get("class_names"), about.get("class_counts")
    fits = {
        "class_names": _are(names, str) and len(names or ()) >= 2,
        "class_counts": _are(counts, int) and len(counts or ()) == len(names or ()),
        "image_shape": _are(about.get("image_shape"), int) and len(about["image_shape"]) == 3,
        "mean": _are(about.get("mean"), (int, float)),
        "std": _are(about.get("std"), (int, float)),
        "name": isinstance(about.get("name"), str),
        "source": isinstance(about.get("source"), (dict, NoneType)),
    }
    wrong = next((key for key, is_right in fits.items() if not is_right), None)
    if wrong is not None:
        raise DamagedFileError(
            f"{folder.data} is damaged or was altered: {wrong} is missing or is not what a run writes. Bring the file "
            f"back from a copy, or train anew in another folder."
        )
    return about


def _are(values: Any, kind: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(value, kind) for value in values)


#: What must be the same in a run that goes on, and what it is called.
MUST_AGREE = {
    "name": "data set",
    "class_names": "classes",
    "class_counts": "training pictures of the classes",
    "image_shape": "shape of the pictures",
    "subset_sha256": "training pictures",
    "content_sha256": "pictures",
}


def check_same_data(folder: RunFolder, data: ImageData) -> None:
    """Raise `UserError` where a run is to go on with other data than it began with."""
    about, now = read_description(folder), describe(data)
    for key, title in MUST_AGREE.items():
        if key == "content_sha256" and str(about.get(key)).split()[0] != now[key].split()[0]:
            continue  # of files then, of their pixels now: they are kept in memory or not
        if key in about and about[key] != now[key]:
            shown = "" if key.endswith("sha256") else f": {_short(about[key])} then, {_short(now[key])} now"
            raise UserError(
                f"The run in {folder.path} was begun on {about['name']} with other data ({title}{shown}): give it the "
                f"same recipe and the same pictures, or start a new run in another folder (run_dir)."
            )


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def scaled_as(folder: RunFolder, data: ImageData) -> ImageData:
    """The data with the mean and standard deviation with which the run was begun."""
    about = read_description(folder)
    return dataclasses.replace(data, mean=tuple(about["mean"]), std=tuple(about["std"]))
