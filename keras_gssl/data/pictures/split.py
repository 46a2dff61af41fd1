"""Splits of pictures into training, validation and test pictures: class by class, by groups, or in folds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from keras_gssl.data.pictures.found import TEST, TRAIN, VALIDATION
from keras_gssl.errors import UserError


def split_by_class(
    names: Sequence[str] | np.ndarray, labels: np.ndarray, shares: Mapping[str, float], seed: int
) -> np.ndarray:
    """What each picture is for, drawn class by class.

    Args:
        names: Of the pictures; their order does not matter.
        labels: Class of each, shape `(count,)`.
        shares: Of each class, for `"test"` and `"validation"`. Where a share is not 0 every class gives at least one
            picture to it, first to training, then to testing, then to validation, as far as it has enough.
        seed: Of the draw.

    Returns:
        Shape `(count,)`, str.
    """
    names, parts = np.asarray(names, str), np.full(len(names), TRAIN, object)
    for _, order in _drawn(names, labels, seed):
        left, begin = len(order) - 1, 0
        for part in (TEST, VALIDATION):
            share = shares.get(part, 0.0)
            count = min(left, max(1, round(share * len(order)))) if share else 0
            parts[order[begin : begin + count]] = part
            begin, left = begin + count, left - count
    return parts.astype(str)


def split_by_group(
    names: Sequence[str] | np.ndarray,
    labels: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    shares: Mapping[str, float],
    seed: int,
) -> np.ndarray:
    """What each picture is for, where pictures of one group stay together; classes as evenly as that allows.

    Shares are met to the nearest `1/k`. Groups that hold all that there is of a class are trained on.
    """
    names, groups = np.asarray(names, str), np.asarray(groups, str)
    parts = np.full(len(names), TRAIN, object)
    for part in (TEST, VALIDATION):
        share = shares.get(part, 0.0)
        if not share:
            continue
        left = np.flatnonzero(parts == TRAIN)
        of_left = share * len(names) / len(left)
        folds = _group_folds(names[left], labels[left], groups[left], max(2, round(1 / of_left)), seed)
        parts[left[folds == 0]] = part
    for label in np.unique(labels):
        members = labels == label
        if not (parts[members] == TRAIN).any():
            back = groups[members][0]
            parts[groups == back] = TRAIN
    return parts.astype(str)


def fold_of(
    names: Sequence[str] | np.ndarray,
    labels: np.ndarray,
    fold: tuple[int, int],
    validation: float,
    seed: int,
    groups: Sequence[str] | np.ndarray,
) -> np.ndarray:
    """What each picture is for in one of `count` runs that together test every picture once.

    Classes need at least two pictures, or groups: a run that tests the only one would not know the class.
    """
    check_fold(fold)
    number, count = fold
    names, groups = np.asarray(names, str), np.asarray(groups, str)
    grouped = len(set(groups.tolist())) < len(names)
    if grouped:
        folds = _group_folds(names, labels, groups, count, seed)
    else:
        folds = np.zeros(len(names), int)
        for label, order in _drawn(names, labels, seed):
            folds[order] = (np.arange(len(order)) + int(label)) % count  # small classes do not all begin with the first
    parts = np.where(folds == number - 1, TEST, TRAIN).astype(object)
    rest = np.flatnonzero(parts == TRAIN)
    if validation:
        shares = {VALIDATION: validation * len(names) / len(rest)}
        if grouped:
            parts[rest] = split_by_group(names[rest], labels[rest], groups[rest], shares, seed)
        else:
            parts[rest] = split_by_class(names[rest], labels[rest], shares, seed)
    return parts.astype(str)


def check_fold(fold: tuple[int, int]) -> None:
    """Raise `UserError` for a fold that there is not."""
    number, count = fold
    if count < 2 or not 1 <= number <= count:
        raise UserError(f"A fold is a number from 1 to the number of folds, at least 2; received {number} of {count}.")


def _drawn(names: np.ndarray, labels: np.ndarray, seed: int) -> list[tuple[int, np.ndarray]]:
    """The positions of each class' pictures in an order that is drawn from their names alone."""
    order = np.argsort(names, kind="stable")
    drawn = []
    for label in np.unique(labels):
        members = order[labels[order] == label]
        # A seed per class: pictures that come to one class leave the split of the others as it was.
        drawn.append((int(label), np.random.default_rng([seed, int(label)]).permutation(members)))
    return drawn


def _group_folds(names: np.ndarray, labels: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Number of a fold for each picture, from 0."""
    from sklearn.model_selection import StratifiedGroupKFold

    if len(set(groups.tolist())) < count:
        raise UserError(
            f"{len(set(groups.tolist()))} groups of pictures cannot be split into {count} parts: make fewer folds, "
            f"a larger share, or smaller groups."
        )
    order = np.argsort(names, kind="stable")
    folds = np.zeros(len(names), int)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer pictures than folds
        for number, (_, chosen) in enumerate(splitter.split(order, labels[order], groups[order])):
            folds[order[chosen]] = number
    return folds
