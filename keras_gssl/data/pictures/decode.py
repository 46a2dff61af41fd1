"""Pictures as people have them: any format, mode, orientation and size, brought to one square RGB size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FITS = ("crop", "pad")
PAPER = (255, 255, 255)  # what shows through transparent pixels
MAX_PIXELS = 200_000_000


class PictureError(Exception):
    """A file is not a readable picture; the message says why."""


def read_picture(path: str | os.PathLike[str], side: int, fit: str = "crop") -> np.ndarray:
    """A picture file as RGB pixels.

    Read are JPEG, PNG, BMP, GIF, WebP and TIFF (of animations the first frame), in colour, greyscale of 8 or 16 bits,
    with a palette or in CMYK. Transparent pixels become white, and the camera's orientation mark is followed.

    Args:
        path: The file.
        side: Height and width of the result, in pixels.
        fit: How a picture that is not square is made so, without distortion: `"crop"` cuts the longer side's ends off,
            `"pad"` adds black ones to the shorter side.

    Returns:
        uint8, shape `(side, side, 3)`.

    Raises:
        PictureError: The file cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise PictureError(f"{opened.width}x{opened.height} pixels are more than {MAX_PIXELS:,}")
            opened.draft("RGB", (side, side))  # a large JPEG is decoded at a fraction of its size
            picture = _to_rgb(ImageOps.exif_transpose(opened))
            if fit == "crop":
                square = ImageOps.fit(picture, (side, side), Image.Resampling.BILINEAR)
            else:
                square = ImageOps.pad(picture, (side, side), Image.Resampling.BILINEAR)
            return np.asarray(square)
    except PictureError:
        raise
    except Exception as error:  # a broken file makes Pillow's decoders raise errors of a dozen kinds
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(reason.splitlines()[0].replace(f"{os.fspath(path)!r}", "the file")) from error


def _to_rgb(picture: Any) -> Any:
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode == "I":  # 16 bits of grey, which Pillow would clip at 255
        return Image.fromarray((np.asarray(picture).astype("int64") >> 8).clip(0, 255).astype("uint8")).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        paper = Image.new("RGBA", picture.size, (*PAPER, 255))
        return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def read_all(
    paths: Sequence[str] | np.ndarray, side: int, fit: str, keep: bool
) -> tuple[np.ndarray | None, dict[int, str]]:
    """Read every picture once.

    Args:
        paths: Files.
        side, fit: See `read_picture`.
        keep: Whether to return the pixels, or only to check that all can be read.

    Returns:
        The pixels, uint8 of shape `(count, side, side, 3)`, or None; and for each unreadable file its position in
        `paths` and why.
    """
    images = np.zeros((len(paths), side, side, 3), "uint8") if keep else None
    broken: dict[int, str] = {}

    def read(position: int) -> None:
        try:
            pixels = read_picture(paths[position], side, fit)
        except PictureError as error:
            broken[position] = str(error)
            return
        if images is not None:
            images[position] = pixels

    # Pillow decodes without holding Python's lock, and warns of oddities in files that it can read all the same.
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        warnings.simplefilter("ignore")
        for _ in pool.map(read, range(len(paths)), chunksize=16):
            pass
    return images, dict(sorted(broken.items()))


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
