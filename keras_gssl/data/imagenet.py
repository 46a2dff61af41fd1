"""Tiny-ImageNet, from the folder that its archive unpacks to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pictures.files import ImageFiles, cached
from keras_gssl.errors import DataNotFoundError

IMAGE_SHAPE = (64, 64, 3)
MEAN = STD = (0.5, 0.5, 0.5)
ARCHIVE = "tiny-imagenet-200"


def tiny_imagenet(data_dir: str | Path, cache: str = "auto") -> ImageData:
    """200 classes of 500 training and 50 validation images of 64x64; the validation images are the test set.

    Args:
        data_dir: The folder `tiny-imagenet-200` as unpacked from the archive (or the one it lies in), with
            `wnids.txt`, `words.txt`, `train/<wnid>/images/*.JPEG`, `val/images/*.JPEG` and
            `val/val_annotations.txt`.
        cache: `"memory"` decodes all images once (up to 4 GB), `"disk"` decodes each when a batch needs it, `"auto"`
            chooses memory if that takes less than half of what is free.

    Raises:
        DataNotFoundError: A part is missing; the message names it.

    Classes are numbered in the order of their sorted WordNet ids, named by the first word in `words.txt`.
    """
    folder = _find(Path(data_dir))
    wnids = sorted(_lines(folder / "wnids.txt"))
    words = dict(line.split("\t", 1) for line in _lines(folder / "words.txt") if "\t" in line)
    if len(wnids) < 2:
        raise DataNotFoundError(f"{folder / 'wnids.txt'} lists {len(wnids)} classes, expected one WordNet id per line.")
    number = {wnid: index for index, wnid in enumerate(wnids)}

    train_paths, train_labels = [], []
    for wnid in wnids:
        paths = sorted((folder / "train" / wnid / "images").glob("*.JPEG"))
        if not paths:
            raise DataNotFoundError(f"No training images in {folder / 'train' / wnid / 'images'} (*.JPEG).")
        train_paths += paths
        train_labels += [number[wnid]] * len(paths)

    annotations = folder / "val" / "val_annotations.txt"
    test_paths, test_labels = [], []
    for position, line in enumerate(_lines(annotations), start=1):
        name, wnid, *_ = [*line.split("\t"), ""]
        if wnid not in number:
            raise DataNotFoundError(
                f"{annotations}, line {position}: expected a file name, a tab and an id of wnids.txt, "
                f"received {line!r}."
            )
        test_paths.append(folder / "val" / "images" / name)
        test_labels.append(number[wnid])
    missing = [path for path in test_paths if not path.exists()]
    if missing or not test_paths:
        first = missing[0] if missing else annotations
        raise DataNotFoundError(f"Validation images are missing, {len(missing)} in all, first {first}.")

    names = [words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids]
    return ImageData(
        train_images=cached(ImageFiles([str(path) for path in train_paths], IMAGE_SHAPE), cache),
        train_labels=np.array(train_labels, "int64"),
        test_images=cached(ImageFiles([str(path) for path in test_paths], IMAGE_SHAPE), cache),
        test_labels=np.array(test_labels, "int64"),
        class_names=tuple(
            name if names.count(name) == 1 else f"{name} ({wnid})" for name, wnid in zip(names, wnids, strict=True)
        ),
        mean=MEAN,
        std=STD,
        name="tiny-imagenet",
        source={"function": "tiny_imagenet", "data_dir": str(folder.resolve()), "cache": cache},
    )


def _find(folder: Path) -> Path:
    if not (folder / "wnids.txt").exists() and (folder / ARCHIVE).is_dir():
        folder = folder / ARCHIVE
    if not folder.is_dir():
        raise DataNotFoundError(f"There is no folder {folder}. Unpack {ARCHIVE}.zip and give that folder as data_dir.")
    for part in ("wnids.txt", "words.txt", "train", "val/images", "val/val_annotations.txt"):
        if not (folder / part).exists():
            raise DataNotFoundError(
                f"{folder / part} is missing: expected the folder as {ARCHIVE}.zip unpacks, with wnids.txt, "
                f"words.txt, train/<wnid>/images, val/images and val/val_annotations.txt."
            )
    return folder


def _lines(path: Path) -> list[str]:
    return [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
