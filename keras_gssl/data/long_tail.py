"""Which images of a balanced data set make up its long-tailed version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

IMBALANCES = ("exp", "step")


def long_tail_counts(num_classes: int, max_count: int, imbalance_ratio: float, imbalance: str = "exp") -> list[int]:
    """Training images per class, classes in label order.

    Args:
        num_classes: At least 2.
        max_count: Images of the most frequent class.
        imbalance_ratio: Images of the rarest class over those of the most frequent one, in `(0, 1]`.
        imbalance: `"exp"`: geometric decay over the classes; `"step"`: the first half has `max_count`, the rest
            `int(max_count * imbalance_ratio)`.

    Example:

    >>> gssl.data.long_tail_counts(10, 5000, 0.01)
    [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]

    Reference:
        "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss" (NeurIPS 2019), section 4.
    """
    if not 0 < imbalance_ratio <= 1:
        raise ValueError(
            f"imbalance_ratio is rarest over most frequent class, above 0 and at most 1; received {imbalance_ratio}."
        )
    if imbalance not in IMBALANCES:
        raise ValueError(f"imbalance must be 'exp' or 'step', received {imbalance!r}.")
    if imbalance == "step":
        frequent = num_classes // 2
        counts = [max_count] * frequent + [int(max_count * imbalance_ratio)] * (num_classes - frequent)
    else:
        counts = [int(max_count * imbalance_ratio ** (index / (num_classes - 1))) for index in range(num_classes)]
    if counts[-1] < 1:
        raise ValueError(
            f"At imbalance_ratio {imbalance_ratio} the rarest of {num_classes} classes has no image left; "
            f"use at least {1 / max_count:g}."
        )
    return counts


def long_tail_positions(labels: np.ndarray, counts: Sequence[int]) -> list[np.ndarray]:
    """For each class, which of its images to keep: positions among the images of that class, in the order drawn.

    The draw is the reference's: `RandomState(0)`, class by class, shuffle and keep the first. It is not a setting:
    results on another subset could not be compared.
    """
    random = np.random.RandomState(0)
    positions = []
    for index, count in enumerate(counts):
        available = int((labels == index).sum())
        if available < count:
            raise ValueError(f"Class {index} has {available} images, {count} were asked for.")
        order = np.arange(available)
        random.shuffle(order)
        positions.append(order[:count])
    return positions


def long_tail_indices(labels: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Indices of the images to keep, class after class. `labels` must be in the data set's original order."""
    positions = long_tail_positions(labels, counts)
    return np.concatenate([np.flatnonzero(labels == index)[kept] for index, kept in enumerate(positions)])


def subset_hash(indices: np.ndarray) -> str:
    """SHA-256 of indices or positions (64-bit little endian), to tell whether two runs saw the same images."""
    return hashlib.sha256(np.ascontiguousarray(indices, "<i8").tobytes()).hexdigest()
