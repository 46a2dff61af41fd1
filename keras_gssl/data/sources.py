"""Where images come from: CIFAR through tensorflow-datasets, and digits that need no download."""

from __future__ import annotations

import dataclasses
import os
import urllib.error
import urllib.request
from typing import Any

import numpy as np

from keras_gssl.data.image_data import ImageData, from_arrays
from keras_gssl.data.long_tail import long_tail_counts, long_tail_indices
from keras_gssl.downloads import one_at_a_time
from keras_gssl.errors import DataNotFoundError

CIFAR_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR_STD = (0.2023, 0.1994, 0.2010)
DOWNLOAD_PROBE_SECONDS = 8

Split = tuple[np.ndarray, np.ndarray]


def cifar10_lt(imbalance_ratio: float = 0.01, imbalance: str = "exp", data_dir: str | None = None) -> ImageData:
    """CIFAR-10 with a long-tailed training set, the same images as the reference code's; 10,000 balanced test images.

    Args:
        imbalance_ratio: Images of the rarest class over those of the most frequent one (5000).
        imbalance: `"exp"` or `"step"`.
        data_dir: Folder of tensorflow-datasets. Default: `TFDS_DATA_DIR`, then its own default; downloaded if missing.

    Raises:
        DataNotFoundError: If it is not there and cannot be downloaded.

    Reference:
        Paper, section 4; subset as in the code of LDAM-DRW (NeurIPS 2019).
    """
    return _cifar_lt("cifar10", 5000, imbalance_ratio, imbalance, data_dir)


def cifar100_lt(imbalance_ratio: float = 0.01, imbalance: str = "exp", data_dir: str | None = None) -> ImageData:
    """CIFAR-100 with a long-tailed training set (most frequent class 500 images); otherwise as `cifar10_lt`."""
    return _cifar_lt("cifar100", 500, imbalance_ratio, imbalance, data_dir)


def _cifar_lt(dataset: str, max_count: int, imbalance_ratio: float, imbalance: str, data_dir: str | None) -> ImageData:
    num_classes = int(dataset.removeprefix("cifar"))
    counts = long_tail_counts(num_classes, max_count, imbalance_ratio, imbalance)  # before the slow part: may raise
    (images, labels), (test_images, test_labels), class_names = _load_tfds(dataset, data_dir)
    indices = long_tail_indices(labels, counts)
    return ImageData(
        train_images=images[indices],
        train_labels=labels[indices],
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        indices=indices,
        name=f"{dataset}-lt ({imbalance}, {imbalance_ratio:g})",
        source={
            "function": f"{dataset}_lt",
            "imbalance_ratio": imbalance_ratio,
            "imbalance": imbalance,
            "data_dir": data_dir,
        },
    )


def _load_tfds(dataset: str, data_dir: str | None) -> tuple[Split, Split, tuple[str, ...]]:
    """Both splits in the order of the published files, which is the numeric part of `id`, and the class names."""
    import tensorflow_datasets as tfds

    data_dir = str(data_dir or os.environ.get("TFDS_DATA_DIR") or tfds.core.constants.DATA_DIR)
    builder = _prepared(dataset, data_dir)
    if builder is None:
        with one_at_a_time():
            builder = _prepared(dataset, data_dir)  # another process may have brought it meanwhile
            if builder is None:
                _check_download(dataset, data_dir)
                builder = tfds.builder_cls(dataset)(data_dir=data_dir)
                builder.download_and_prepare()
    splits = []
    for split in ("train", "test"):
        columns: dict[str, list[np.ndarray]] = {"id": [], "image": [], "label": []}
        for batch in tfds.as_numpy(builder.as_dataset(split=split, batch_size=1000)):
            for key, values in columns.items():
                values.append(batch[key])
        ids, images, labels = (np.concatenate(values) for values in columns.values())
        order = np.argsort([int(name.decode().rsplit("_", 1)[-1]) for name in ids], kind="stable")
        splits.append((images[order], labels[order].astype("int64")))
    return splits[0], splits[1], tuple(builder.info.features["label"].names)


def _prepared(dataset: str, data_dir: str) -> Any:
    """The builder of a data set that is there, or None."""
    import tensorflow_datasets as tfds
    from absl import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)  # else it warns of a folder that is not there, which is about to be said
    try:
        builder = tfds.builder_cls(dataset)(data_dir=data_dir)
        return builder if builder.is_prepared() else None
    finally:
        logging.set_verbosity(verbosity)


def _check_download(dataset: str, data_dir: str) -> None:
    """Ask for the archive's header first: without a network, tensorflow-datasets retries for minutes."""
    archive = dataset.replace("cifar", "cifar-")
    url = f"https://www.cs.toronto.edu/~kriz/{archive}-binary.tar.gz"
    try:
        request = urllib.request.Request(url, method="HEAD")
        urllib.request.urlopen(request, timeout=DOWNLOAD_PROBE_SECONDS).close()
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        raise DataNotFoundError(
            f"{dataset} was not found in {data_dir} and cannot be downloaded from {url} ({reason}). "
            f"Set TFDS_DATA_DIR (or data_dir) to a folder with a prepared copy ({dataset}/<version>/...), "
            f"or try `python -m keras_gssl.recipes.quickstart`, which needs no download."
        ) from error


def digits_lt(imbalance_ratio: float = 0.02, seed: int = 0) -> ImageData:
    """Handwritten digits in colour, long-tailed, without any download.

    The 1,797 8x8 digits that come with scikit-learn, drawn at 32x32 with a random ink colour on a random darker paper.
    The first 110 of each class train (fewer along the tail), the rest are the test set.

    Args:
        imbalance_ratio: Images of the rarest class over those of the most frequent one (110).
        seed: Seed of the colours.

    Example:

    >>> gssl.data.digits_lt(imbalance_ratio=0.05).class_counts
    [110, 78, 56, 40, 29, 20, 14, 10, 7, 5]
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pictures = _colour(digits.images / 16.0, np.random.default_rng(seed))
    labels = digits.target.astype("int64")
    is_train = np.zeros(len(labels), bool)
    for index in range(10):
        is_train[np.flatnonzero(labels == index)[:110]] = True
    counts = long_tail_counts(10, 110, imbalance_ratio)
    kept = np.flatnonzero(is_train)[long_tail_indices(labels[is_train], counts)]
    data = from_arrays(
        pictures[kept],
        labels[kept],
        pictures[~is_train],
        labels[~is_train],
        class_names=[str(index) for index in range(10)],
        crop_padding=2,
        horizontal_flip=False,  # a mirrored digit is another sign
        name=f"digits-lt (exp, {imbalance_ratio:g})",
    )
    source = {"function": "digits_lt", "imbalance_ratio": imbalance_ratio, "seed": seed}
    return dataclasses.replace(data, source=source)


def _colour(ink: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Grey values 0-1 of shape `(count, 8, 8)` as uint8 pictures `(count, 32, 32, 3)`."""
    from keras_gssl.backend import tf

    ink = tf.clip_by_value(tf.image.resize(ink[..., np.newaxis], (32, 32), method="bicubic"), 0, 1).numpy()
    shape = (len(ink), 1, 1, 3)
    paper_colour, ink_colour = random.uniform(0, 110, shape), random.uniform(130, 255, shape)
    return np.round(paper_colour + ink * (ink_colour - paper_colour)).astype("uint8")
