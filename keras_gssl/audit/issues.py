"""Likely wrong labels and odd pictures from held-out predictions (cleanlab), and pictures that are there twice."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from keras_gssl.audit.predictions import HeldOut
from keras_gssl.data.pictures.decode import read_all
from keras_gssl.data.pictures.duplicates import find_duplicates, fingerprints_of
from keras_gssl.errors import UserError, counted
from keras_gssl.extras import extra

SIDE = 64  # pixels at which pictures are compared
ODD_SHARE = 0.02  # of the pictures that are shown as odd


@dataclasses.dataclass(frozen=True)
class Findings:
    """Positions in `HeldOut`, the most striking first.

    Attributes:
        wrong: Pictures whose label is likely wrong.
        suggested: The class that each of them likely has.
        quality: Of every label, 0 to 1, low for one that is likely wrong.
        odd: Pictures that are like no class.
        twice: Pairs of pictures that are nearly the same; of two different labels first.
    """

    wrong: np.ndarray
    suggested: np.ndarray
    quality: np.ndarray
    odd: np.ndarray
    twice: list[tuple[int, int]]


def find_issues(held_out: HeldOut) -> Findings:
    """What is likely wrong with the pictures.

    Reference:
        "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 70, 2021).
    """
    with extra("audit", "Auditing needs"):
        from cleanlab import filter as filters
        from cleanlab import outlier, rank
    present = np.unique(held_out.labels)
    # Of a class without a held-out picture nothing can be estimated: it takes part as a suggestion alone.
    number = np.full(len(held_out.class_names), -1)
    number[present] = np.arange(len(present))
    labels = number[held_out.labels]
    known = held_out.probabilities[:, present]
    known = known / np.maximum(known.sum(axis=1, keepdims=True), 1e-12)
    if len(present) < 2 or len(labels) < 10:
        raise UserError(
            f"There are {len(labels)} held-out pictures of {len(present)} classes, too few to judge labels by: hold "
            f"more out, or audit the runs of all folds."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quality = rank.get_label_quality_scores(labels, known)
        wrong = filters.find_label_issues(
            labels, known, return_indices_ranked_by="self_confidence", filter_by="both", n_jobs=1
        )
        oddness = outlier.OutOfDistribution().fit_score(pred_probs=known, labels=labels, verbose=False)
    suggested = held_out.probabilities[wrong].argmax(axis=1) if len(wrong) else np.zeros(0, int)
    odd = np.argsort(oddness, kind="stable")[: max(1, round(ODD_SHARE * len(labels)))]
    return Findings(np.asarray(wrong, int), suggested, quality, odd, _twice(held_out))


def _twice(held_out: HeldOut) -> list[tuple[int, int]]:
    fingerprints, look_at = fingerprints_of(len(held_out.names))
    images, broken = read_all(
        [str(path) for path in held_out.paths], SIDE, held_out.fit, True, held_out.depth_range, look_at
    )
    if broken or images is None:
        position, reason = next(iter(broken.items()))
        raise UserError(
            f"{counted(len(broken), 'picture')} cannot be read, first {held_out.paths[position]} ({reason}), although "
            f"the runs were made with them: put them back."
        )
    each_alone = np.arange(len(fingerprints)).astype(str)
    pairs = find_duplicates(fingerprints, each_alone, lambda position: images[position])
    found = sorted({(min(pair), max(pair)) for pair in pairs})
    return sorted(found, key=lambda pair: held_out.labels[pair[0]] == held_out.labels[pair[1]])


def suggestions(held_out: HeldOut, findings: Findings) -> list[tuple[str, str, str, float]]:
    """For each likely wrong label: the picture, its label, the one that it likely has, and the label's quality."""
    names = held_out.class_names
    return [
        (
            str(held_out.names[position]),
            names[held_out.labels[position]],
            names[likely],
            float(findings.quality[position]),
        )
        for position, likely in zip(findings.wrong, findings.suggested, strict=True)
    ]


def thumbnails(held_out: HeldOut, positions: Sequence[int] | np.ndarray) -> list[np.ndarray]:
    """Pixels of pictures, for the page."""
    paths = [str(held_out.root / held_out.names[position]) for position in positions]
    images, _ = read_all(paths, SIDE, "pad", True, held_out.depth_range)
    return [] if images is None else list(images)
