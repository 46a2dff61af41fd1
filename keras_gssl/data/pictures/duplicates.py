"""Pictures that are on two sides of a split, as the same file or nearly the same picture."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from keras_gssl.data.pictures.found import TRAIN

NEAR_BITS = 3  # of 64 that may differ
BANDS = 4  # of 16 bits: pictures that differ in up to three bits are equal in one of them
NEAR_PIXELS = 5.0  # mean difference of the pixels, 0-255, up to which two pictures are nearly the same
LARGEST_BAND = 1000  # pictures with one band in common, beyond which they are flat or drawn, not copies


class Pair(NamedTuple):
    """Positions of two pictures in a listing: one that is tested or chosen on, and its like."""

    held_out: int
    other: int


def fingerprint(pixels: np.ndarray) -> int:
    """64 bits that are nearly the same for pictures that look the same (perceptual hash)."""
    import imagehash
    from PIL import Image

    bits = imagehash.phash(Image.fromarray(pixels)).hash.ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def fingerprints_of(count: int) -> tuple[np.ndarray, Callable[[int, np.ndarray], None]]:
    """Room for the fingerprints of so many pictures, and what `read_all` is to call with each."""
    fingerprints = np.zeros(count, "uint64")

    def look_at(position: int, pixels: np.ndarray) -> None:
        fingerprints[position] = fingerprint(pixels)

    return fingerprints, look_at


def find_duplicates(fingerprints: np.ndarray, parts: np.ndarray, pixels_of: Callable[[int], np.ndarray]) -> list[Pair]:
    """Pictures for validation or testing that are nearly the same as one of another part.

    Args:
        fingerprints: Of each picture, uint64, shape `(count,)`.
        parts: What each is for, shape `(count,)`.
        pixels_of: The pixels of the picture at a position; asked for pairs whose fingerprints are alike only.

    Returns:
        A pair for each such picture, the other one a training picture where there is one.
    """
    found: dict[int, int] = {}
    for one, other in sorted(_alike(fingerprints)):
        if parts[one] == parts[other]:
            continue
        held_out, like = (other, one) if parts[one] == TRAIN else (one, other)
        if held_out in found and parts[found[held_out]] == TRAIN:
            continue
        difference = pixels_of(held_out).astype("int16") - pixels_of(like)
        if np.abs(difference).mean() <= NEAR_PIXELS:
            found[held_out] = like
    return [Pair(held_out, other) for held_out, other in sorted(found.items())]


def _alike(fingerprints: np.ndarray) -> set[tuple[int, int]]:
    """Pairs of positions, the smaller first, whose fingerprints differ in a few bits at the most."""
    pairs: set[tuple[int, int]] = set()
    words = fingerprints.astype(">u8").view(">u2").reshape(len(fingerprints), BANDS)
    for band in range(BANDS):
        members: dict[int, list[int]] = defaultdict(list)
        for position, word in enumerate(words[:, band].tolist()):
            members[word].append(position)
        for group in members.values():
            if 1 < len(group) <= LARGEST_BAND:
                pairs.update(_near(group, fingerprints))
    return pairs


def _near(group: list[int], fingerprints: np.ndarray) -> Iterable[tuple[int, int]]:
    for one, other in itertools.combinations(group, 2):
        if (int(fingerprints[one]) ^ int(fingerprints[other])).bit_count() <= NEAR_BITS:
            yield one, other
