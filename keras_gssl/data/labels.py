"""Class labels as people have them: whole numbers, one-hot rows or names; brought to numbers from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def number_labels(
    train: Any, test: Any, class_names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Labels of training and test pictures as numbers, and the classes' names.

    Args:
        train, test: Whole numbers from 0, shape `(count,)` or `(count, 1)`; one-hot rows `(count, classes)`; or names.
        class_names: One per class; default the numbers, or the names in `train`, sorted.

    Returns:
        Both as int64 of shape `(count,)`, and the names.
    """
    names = None if class_names is None else tuple(str(name) for name in class_names)
    if names is not None and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"class_names has {twice!r} twice: every class needs a name of its own.")
    if names is None and np.asarray(train).dtype.kind in "UOS":
        names = tuple(str(name) for name in np.unique(train))
    numbers = [_numbers(title, np.asarray(each), names) for title, each in (("train", train), ("test", test))]
    count = max(classes for _, classes in numbers)
    names = names or tuple(str(index) for index in range(count))
    if count > len(names):
        raise ValueError(f"Labels go up to {count - 1}, class_names has {len(names)} names: one is needed per class.")
    return numbers[0][0], numbers[1][0], names


def _numbers(title: str, labels: np.ndarray, names: tuple[str, ...] | None) -> tuple[np.ndarray, int]:
    """Labels as numbers, and how many classes they tell of."""
    if not labels.size:
        raise ValueError(f"{title}_labels is empty: give at least one picture of every class.")
    if labels.dtype.kind in "UOS":
        known = {name: index for index, name in enumerate(names or ())}
        unknown = next((str(label) for label in labels if str(label) not in known), None)
        if unknown is not None and not known:
            raise ValueError(f"{title}_labels are names, such as {unknown!r}, the others numbers: give both alike.")
        if unknown is not None:
            raise ValueError(f"{title}_labels has {unknown!r}, which is none of the classes {', '.join(known) or '-'}.")
        labels = np.array([known[str(label)] for label in labels], "int64")
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise ValueError(
                f"{title}_labels of shape {labels.shape} must have one 1 in each row and 0 elsewhere (one-hot): a "
                f"picture has one class here."
            )
        return labels.argmax(axis=1), labels.shape[1]
    values = labels.reshape(-1)
    if len(values) != len(labels) or (values != np.floor(values.astype("float64"))).any() or values.min() < 0:
        raise ValueError(
            f"{title}_labels must be one whole number from 0 for each picture; received {labels.dtype} of shape "
            f"{labels.shape}, from {values.min():g} to {values.max():g}."
        )
    return values.astype("int64"), int(values.max()) + 1
