"""Pictures as people have them: any format, mode, orientation and size, brought to one square RGB size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.sharing import usable_cores

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FITS = ("crop", "pad")
PAPER = (255, 255, 255)  # what shows through transparent pixels
MAX_PIXELS = 178_000_000  # Pillow refuses files from 179 million on, as they may be made to exhaust the memory
#: What a file is tried as, whatever its name says: Pillow knows formats that start other programs, too.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF")
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and microscopes give
REDUCING_GAP = 3.0
DEEP_SAMPLE = 200  # pictures whose values are looked at, at the most

DepthRange = tuple[float, float]


class PictureError(Exception):
    """A file is not a readable picture; the message says why."""


def read_picture(
    path: str | os.PathLike[str], side: int, fit: str = "crop", depth_range: DepthRange | None = None
) -> np.ndarray:
    """A picture file as RGB pixels.

    Read are JPEG, PNG, BMP, GIF, WebP and TIFF (of animations the first frame), in colour, greyscale of 8, 16 or 32
    bits, with a palette or in CMYK. Transparent pixels become white, and the camera's orientation mark is followed.

    Args:
        path: The file.
        side: Height and width of the result, in pixels.
        fit: How a picture that is not square is made so, without distortion: `"crop"` cuts the longer side's ends off,
            `"pad"` adds black ones to the shorter side.
        depth_range: The values that become black and white, for greyscale of more than 8 bits; see `depth_range_of`.
            None: 0 and 65535, for fractions 0 and 1. Colour of 16 bits is read by its upper 8, whatever this says.

    Returns:
        uint8, shape `(side, side, 3)`.

    Raises:
        PictureError: The file cannot be read.
    """
    from PIL import ImageOps

    try:
        with _opened(path) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise PictureError(f"{opened.width}x{opened.height} pixels are more than {MAX_PIXELS:,}")
            opened.draft("RGB", (side, side))  # a large JPEG is decoded at a fraction of its size
            return as_square(ImageOps.exif_transpose(opened), side, fit, depth_range)
    except PictureError:
        raise
    except Exception as error:  # a broken file makes Pillow's decoders raise errors of a dozen kinds
        raise PictureError(_reason(error, path)) from error


def as_square(picture: Any, side: int, fit: str, depth_range: DepthRange | None = None) -> np.ndarray:
    """An opened picture as RGB pixels of one size; see `read_picture`."""
    from PIL import Image, ImageOps

    picture = _to_rgb(picture, depth_range)
    if fit == "pad":
        return np.asarray(ImageOps.pad(picture, (side, side), Image.Resampling.BILINEAR))
    shorter, left, top = min(picture.size), *((length - min(picture.size)) / 2 for length in picture.size)
    box = (left, top, left + shorter, top + shorter)
    # Far larger pictures are first shrunk by whole numbers, which is several times faster and cannot be seen.
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box, REDUCING_GAP))


def depth_range_of(paths: Sequence[str] | np.ndarray) -> DepthRange | None:
    """The values that black and white have in greyscale pictures of more than 8 bits; None where there are none.

    A file of 16 bits may hold 10, 12 or 14, and would come out black. Black is 0, white the largest value of the fewest
    bits that the pictures fit in, looked at in up to 200 of them, spread over all; of fractions up to 1 it is 1.
    """
    deepest, seen = 0.0, 0
    for path in np.asarray(paths, str)[:: max(1, len(paths) // DEEP_SAMPLE)]:
        try:
            with _opened(path) as opened:
                if _is_deep(opened):
                    deepest, seen = max(deepest, float(np.nanmax(np.asarray(opened)))), seen + 1
        except Exception:  # a broken file is named when it is read
            continue
    return range_up_to(deepest) if seen else None


def depth_range_in(reading: Mapping[str, Any]) -> DepthRange | None:
    """The range that a run's `data.json` notes beside how its pictures were read; None where they had none."""
    low_and_high = reading.get("depth_range")
    return tuple(low_and_high) if low_and_high else None


def range_up_to(deepest: float) -> DepthRange:
    """Black and white for pictures whose largest value is this one; see `depth_range_of`."""
    if deepest <= 1:
        return 0.0, 1.0
    bits = next((bits for bits in DEPTHS if deepest < 2**bits), None)
    return 0.0, float(2**bits - 1 if bits else deepest)


def _opened(path: str | os.PathLike[str]) -> Any:
    from PIL import Image

    if not os.path.isfile(path):  # Pillow would wait for a pipe without end
        if os.path.exists(path):
            raise PictureError("it is not a file")
        raise PictureError("No such file or directory")
    try:
        return Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(f"it has more than {MAX_PIXELS:,} pixels") from error


def _reason(error: Exception, path: str | os.PathLike[str]) -> str:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason.splitlines()[0].replace(f"{os.fspath(path)!r}", "the file")


def _is_deep(picture: Any) -> bool:
    return picture.mode.startswith("I;16") or picture.mode in ("I", "F")


def _to_rgb(picture: Any, depth_range: DepthRange | None = None) -> Any:
    from PIL import Image

    if _is_deep(picture):  # which Pillow would clip at 255
        low, high = depth_range or (0.0, 1.0 if picture.mode == "F" else 65535.0)
        values = (np.nan_to_num(np.asarray(picture, "float64")) - low) * (255 / (high - low))
        return Image.fromarray(values.round().clip(0, 255).astype("uint8")).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        paper = Image.new("RGBA", picture.size, (*PAPER, 255))
        return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")
    return picture.convert("RGB")


def read_all(
    paths: Sequence[str] | np.ndarray,
    side: int,
    fit: str,
    keep: bool,
    depth_range: DepthRange | None = None,
    look_at: Callable[[int, np.ndarray], None] | None = None,
) -> tuple[np.ndarray | None, dict[int, str]]:
    """Read every picture once.

    Args:
        paths: Files.
        side, fit, depth_range: See `read_picture`.
        keep: Whether to return the pixels, or only to check that all can be read.
        look_at: Called with the position and the pixels of each, from several threads.

    Returns:
        The pixels, uint8 of shape `(count, side, side, 3)`, or None; and for each unreadable file its position in
        `paths` and why.
    """
    images = np.zeros((len(paths), side, side, 3), "uint8") if keep else None
    broken: dict[int, str] = {}

    def read(position: int) -> None:
        try:
            pixels = read_picture(paths[position], side, fit, depth_range)
        except PictureError as error:
            broken[position] = str(error)
            return
        if images is not None:
            images[position] = pixels
        if look_at is not None:
            look_at(position, pixels)

    # Pillow decodes without holding Python's lock, and warns of oddities in files that it can read all the same.
    with warnings.catch_warnings(), ThreadPoolExecutor(len(usable_cores())) as pool:
        warnings.simplefilter("ignore")
        for _ in pool.map(read, range(len(paths)), chunksize=16):
            pass
    return images, dict(sorted(broken.items()))


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
