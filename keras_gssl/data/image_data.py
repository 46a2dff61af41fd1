"""`ImageData`: labelled images, split into training and test, and what belongs with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_gssl.data.augmentations.base import ImageAugmentation
from keras_gssl.data.evaluation_set import EvaluationSet
from keras_gssl.data.image_checks import check_parts
from keras_gssl.data.labels import number_labels
from keras_gssl.data.long_tail import subset_hash
from keras_gssl.data.mixing import Mixing
from keras_gssl.data.pictures.files import ImageFiles
from keras_gssl.data.pipeline import TrainingSet
from keras_gssl.pretext.draw import TaskDraw
from keras_gssl.pretext.tasks import PretextTask


@dataclasses.dataclass(frozen=True)
class ImageData:
    """A classification data set, held in memory or read from disk.

    Attributes:
        train_images: uint8, shape `(count, height, width, channels)`, or `ImageFiles`.
        train_labels: int64, shape `(count,)`.
        test_images: Same image shape.
        test_labels: int64.
        class_names: One per class.
        mean, std: Per channel, on the scale 0-1; taken out of every image.
        crop_padding: Black pixels around a training image before the random crop; 0 for no crop.
        horizontal_flip: Whether training images are mirrored at random.
        indices: Which images of the original training set these are, if they are a subset.
        name: For reports.
        source: Name and arguments of the function of `keras_gssl.data` that gives the same data again; None if there is
            none, as for arrays.
        listing: The files that the images come from, if they are the user's own pictures.
        validation_images, validation_labels: To choose the best epoch, temperature and thresholds on; None without.
    """

    train_images: np.ndarray | ImageFiles
    train_labels: np.ndarray
    test_images: np.ndarray | ImageFiles
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_padding: int = 4
    horizontal_flip: bool = True
    indices: np.ndarray | None = None
    name: str = "images"
    source: Mapping[str, Any] | None = None
    listing: Any = None  # a `Listing`, whose module needs this one
    validation_images: np.ndarray | ImageFiles | None = None
    validation_labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        check_parts(self)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.train_images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def class_counts(self) -> list[int]:
        """Training images per class."""
        return np.bincount(self.train_labels, minlength=self.num_classes).tolist()

    @property
    def subset_hash(self) -> str:
        """SHA-256 of `indices`, or of the files' names: equal for two runs that saw the same training images."""
        if self.listing is not None:
            return self.listing.digest
        return subset_hash(np.arange(len(self.train_labels)) if self.indices is None else self.indices)

    def train(
        self,
        batch_size: int = 128,
        tasks: Sequence[PretextTask] = (),
        seed: int = 0,
        augmentations: Sequence[ImageAugmentation] = (),
        mixing: Mixing | None = None,
        draw: TaskDraw | None = None,
    ) -> TrainingSet:
        """Augmented training batches `(images, {"class": labels, "<task>": labels, ...})`; see `TrainingSet`."""
        return TrainingSet(
            self.train_images,
            self.train_labels,
            self.mean,
            self.std,
            batch_size,
            tasks,
            seed,
            self.crop_padding,
            self.horizontal_flip,
            augmentations,
            mixing,
            draw,
        )

    def test(self, batch_size: int | None = None) -> EvaluationSet:
        """The test images, normalised and otherwise untouched, with their class labels.

        By default in batches of 500, of fewer where images are larger than 64x64.
        """
        return self._untouched(self.test_images, self.test_labels, batch_size)

    def validation(self, batch_size: int | None = None) -> EvaluationSet | None:
        """The validation images, likewise; None where there are none."""
        if self.validation_images is None or self.validation_labels is None:
            return None
        return self._untouched(self.validation_images, self.validation_labels, batch_size)

    def _untouched(self, images: np.ndarray | ImageFiles, labels: np.ndarray, batch_size: int | None) -> EvaluationSet:
        if batch_size is None:
            height, width, _ = self.image_shape
            batch_size = max(1, min(500, 500 * 64 * 64 // (height * width)))
        return EvaluationSet(images, labels, self.mean, self.std, batch_size)

    def head(self, train_count: int, test_count: int) -> ImageData:
        """The first `test_count` test images and about `train_count` training images, every class kept: for trials."""
        kept = np.sort(_spread(self.train_labels, train_count))
        return dataclasses.replace(
            self,
            train_images=self.train_images[kept],
            train_labels=self.train_labels[kept],
            test_images=self.test_images[:test_count],
            test_labels=self.test_labels[:test_count],
            **self._validation_head(test_count),
            indices=kept if self.indices is None else self.indices[kept],
            source=self.source and {**self.source, "head": [train_count, test_count]},
        )

    def _validation_head(self, count: int) -> dict[str, Any]:
        """About so many validation images of all classes, where there are any."""
        if self.validation_images is None or self.validation_labels is None:
            return {}
        kept = np.sort(_spread(self.validation_labels, count))
        return {"validation_images": self.validation_images[kept], "validation_labels": self.validation_labels[kept]}


def from_arrays(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    crop_padding: int = 4,
    horizontal_flip: bool = True,
    name: str = "images",
) -> ImageData:
    """Your own pictures, from NumPy arrays.

    Args:
        train_images: uint8 pixels 0-255, shape `(count, side, side, channels)`.
        train_labels: Class of each: integers from 0, one-hot rows, or the classes' names.
        test_images: Held-out pictures of the same shape.
        test_labels: Class of each, likewise.
        class_names: Default: "0", "1", ..., or the names in `train_labels`, sorted.
        mean, std: Per channel on the scale 0-1. Default: those of `train_images`.
        crop_padding: Black pixels around a training image before the random crop; 0 for no crop.
        horizontal_flip: Whether to mirror training images at random; turn it off where left and right differ in
            meaning, as in digits or text.
        name: For reports.

    Example:

    >>> pictures = np.random.randint(0, 256, (20, 32, 32, 3), "uint8")
    >>> data = gssl.data.from_arrays(pictures, np.arange(20) % 2, pictures[:4], np.arange(4) % 2)
    >>> data.class_counts
    [10, 10]
    """
    for title, images in (("train", train_images), ("test", test_images)):
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                f"{title}_images must be uint8 pixels 0-255 of shape (count, height, width, channels); "
                f"received {images.dtype} of shape {images.shape}."
            )
    train_labels, test_labels, class_names = number_labels(train_labels, test_labels, class_names)
    measured = None if mean is not None and std is not None else pixel_statistics(train_images)
    return ImageData(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
        mean=_per_channel(mean if measured is None or mean is not None else measured[0]),
        std=_per_channel(std if measured is None or std is not None else measured[1]),
        crop_padding=crop_padding,
        horizontal_flip=horizontal_flip,
        name=name,
    )


def pixel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per channel on the scale 0-1; `ValueError` for a channel that is all one value."""
    pixels = images.reshape(-1, images.shape[-1])
    mean, std = pixels.mean(axis=0) / 255, pixels.std(axis=0) / 255
    if std.min() <= 0:
        raise ValueError(
            f"Channel {int(std.argmin())} of train_images has the same value in every pixel, so it tells nothing and "
            f"cannot be normalised: leave the channel out, or give mean and std, with std above 0."
        )
    return mean, std


def _per_channel(values: Any) -> tuple[float, ...]:
    return tuple(np.atleast_1d(np.asarray(values, "float64")).tolist())


def _spread(labels: np.ndarray, count: int) -> np.ndarray:
    """About `count` indices in proportion to the classes, at least two of each."""
    share = min(1.0, count / len(labels))
    chosen = []
    for index in np.unique(labels):
        of_class = np.flatnonzero(labels == index)
        chosen.append(of_class[: max(2, int(share * len(of_class)))])
    return np.concatenate(chosen)
