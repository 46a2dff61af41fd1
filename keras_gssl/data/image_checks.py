"""What the parts of a data set must have in common before anything is trained on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_gssl.bounds import WHOLE
from keras_gssl.data.normalisation import PixelNormalization

PARTS = ("train", "validation", "test")


def check_parts(data: Any) -> None:
    """Raise `ValueError` in one line where the parts of an `ImageData` do not go together.

    Checked are the images' shapes, the labels against images and class names, the names, mean and standard deviation.
    """
    names = tuple(data.class_names)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"class_names has {twice!r} twice: every class needs a name of its own.")
    if len(names) < 2:
        raise ValueError(f"class_names has {len(names)} names: there must be at least 2 classes to tell apart.")
    WHOLE.check("crop_padding", data.crop_padding)
    for part in PARTS:
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        if images is not None or labels is not None:
            _check_part(part, images, labels, data.train_images.shape[1:], len(names))
    channels = data.train_images.shape[-1]
    normalisation = PixelNormalization(data.mean, data.std)
    for title, values in (("mean", normalisation.mean), ("std", normalisation.std)):
        if len(values) not in (1, channels):
            raise ValueError(
                f"{title} has {len(values)} numbers for images of {channels} channels: one each is needed."
            )


def _check_part(part: str, images: Any, labels: Any, image_shape: tuple[int, ...], num_classes: int) -> None:
    count = None if images is None else len(images)
    if labels is None or count != len(labels):
        held = "no" if labels is None else len(labels)
        raise ValueError(f"{'no' if count is None else count} {part}_images but {held} {part}_labels.")
    if tuple(images.shape[1:]) != tuple(image_shape):
        raise ValueError(
            f"{part}_images have the shape {tuple(images.shape[1:])}, train_images {tuple(image_shape)}, which are "
            f"height, width and channels: bring all of them to one."
        )
    if not len(labels):
        raise ValueError(f"{part}_images is empty: give at least one picture of every class.")
    if np.min(labels) < 0 or np.max(labels) >= num_classes:
        wrong = int(np.min(labels) if np.min(labels) < 0 else np.max(labels))
        raise ValueError(
            f"{part}_labels has {wrong}; with {num_classes} class_names they go from 0 to {num_classes - 1}."
        )
