"""Class labels that `fit` and `evaluate` get as arrays: told what is wrong with them before a step is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

NO_NUMBERS = (
    "Class labels must be numbers from 0, or one-hot rows; received {}. Number them first, for example with "
    "numpy.unique(labels, return_inverse=True), or let keras_gssl.data.from_arrays do it."
)


def check_labels(labels: Any, num_classes: int) -> None:
    """Raise `ValueError` for labels that no class of the model has.

    Args:
        labels: An array or a tensor; anything else is left to Keras.
        num_classes: Of the model.
    """
    if labels is None or isinstance(labels, Mapping) or not hasattr(labels, "__getitem__"):
        return
    values = np.asarray(labels)
    if values.dtype.kind in "USO" and values.size:
        raise ValueError(NO_NUMBERS.format(repr(str(values.flat[0]))))
    if not values.size or values.dtype.kind not in "biuf":
        return
    if values.ndim > 2 or (values.ndim == 2 and values.shape[1] not in (1, num_classes)):
        raise ValueError(
            f"Class labels must have the shape (count,), or (count, {num_classes}) as one-hot rows of the model's "
            f"{num_classes} classes; received {values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError("Class labels must be finite numbers; received nan or inf among them.")
    if values.ndim == 2 and values.shape[1] == num_classes > 1:
        if values.min() < 0 or not np.allclose(values.sum(axis=1), 1, atol=1e-3):
            raise ValueError("One-hot labels must be shares that are not negative and sum to 1 in each row.")
        return
    if (values != np.floor(values)).any():
        wrong = values[values != np.floor(values)].flat[0]
        raise ValueError(f"Class labels must be whole numbers from 0 to {num_classes - 1}; received {wrong:g}.")
    if values.min() < 0 or values.max() >= num_classes:
        raise ValueError(outside(values.min() if values.min() < 0 else values.max(), num_classes))


def outside(label: float, num_classes: int) -> str:
    """What is wrong with a label that none of so many classes has."""
    return f"The model has {num_classes} classes, so labels go from 0 to {num_classes - 1}; received {label:g}."
