"""Gated self-supervision on your own pictures: a folder with one sub-folder per class, or a CSV file of path,label.

Pictures may be JPEG, PNG, BMP, GIF, WebP or TIFF, of any size, in colour, greyscale, with a palette, transparent or
in CMYK; they are turned as the camera says and brought to one square size without distortion. A share of each class is
held out for testing; which pictures those are is kept with the run. Data larger than memory is read from disk.

    python -m keras_gssl.recipes.image_folder photos
    python -m keras_gssl.recipes.image_folder photos --image-size 128 --epochs 50 --backbone MobileNetV2
    python -m keras_gssl.recipes.image_folder pictures.csv --skip-broken --fit pad
    python -m keras_gssl.recipes.image_folder --resume                              # the newest run goes on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.backend import keras
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pictures.decode import FITS
from keras_gssl.data.pictures.files import CACHES
from keras_gssl.data.pictures.folder import load_listing
from keras_gssl.data.pictures.listing import Listing, list_pictures
from keras_gssl.errors import UserError
from keras_gssl.files import read_json
from keras_gssl.recipes.command_line import parse, run
from keras_gssl.recipes.experiment import run_experiment
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings, setting

NAME = "image_folder"
SHOWN = 5  # broken files and other files that are named


@dataclasses.dataclass(frozen=True)
class ImageFolderSettings(TrainingSettings):
    """Training settings that suit a few thousand pictures of 64x64, and how the pictures are read."""

    source: str | None = setting(
        None, "folder with one sub-folder per class, or CSV file with the columns path and label", positional="DIR"
    )
    image_size: int = setting(64, "side of the square that every picture is brought to, in pixels")
    fit: str = setting("crop", "how pictures become square: cut the ends off, or add black ones", FITS)
    held_out: float = setting(0.2, "share of each class that is held out for testing")
    split_seed: int = setting(0, "which pictures are held out")
    skip_broken: bool = setting(False, "leave unreadable files out, and list them, instead of stopping")
    horizontal_flip: bool = setting(True, "mirror training pictures at random; off where left and right differ")
    cache: str = setting("auto", "keep decoded pictures in memory, read them from disk, or as it fits", CACHES)
    backbone: str = setting(
        "resnet18_imagenet", "network: resnet18_imagenet, resnet18_small, resnet32, MobileNetV2, EfficientNetB0, ..."
    )
    epochs: int = setting(100, "passes over the training pictures")
    batch_size: int = setting(64, "pictures per step")
    drop_epochs: tuple[int, ...] = setting(
        (80, 90), "epochs at which the learning rate drops, for 100 epochs; shorter runs scale them"
    )
    reweight_epoch: int = setting(80, "epoch from which classes are re-weighted (loss ldam), for 100 epochs")

    full_epochs = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size < 8 or self.image_size % 2:
            raise ValueError(f"image_size must be even and at least 8, received {self.image_size}")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be above 0 and below 1, received {self.held_out:g}")


def main(argv: Sequence[str] | None = None, callbacks: Sequence[keras.callbacks.Callback] = ()) -> RunResult:
    settings = parse(ImageFolderSettings, NAME, __doc__, argv)
    return run_experiment(NAME, lambda folder: load(settings, folder), settings, callbacks)


def load(settings: ImageFolderSettings, folder: RunFolder) -> ImageData:
    """The pictures, listed anew or, in a run that is resumed, as they were listed when it began."""
    if settings.resume:
        about = read_json(folder.data)
        listing = list_pictures(folder.pictures, root=settings.source or about["source"]["root"])
        return _load(settings, listing, about["name"], about)
    if settings.source is None:
        raise UserError("DIR is needed: a folder with one sub-folder per class, or a CSV file (see --help).")
    source = Path(settings.source)
    listing = list_pictures(source, settings.held_out, settings.split_seed)
    if listing.not_pictures:
        print(f"Passed over {len(listing.not_pictures)} files that are not pictures: {_some(listing.not_pictures)}")
    if listing.empty:
        print(f"Passed over {len(listing.empty)} sub-folders without pictures: {_some(listing.empty)}")
    data = _load(settings, listing, source.stem)
    broken = data.listing.broken
    if broken:
        print(f"Left out {len(broken)} pictures that cannot be read:")
        for name, reason in list(broken.items())[:SHOWN]:
            print(f"   {name}: {reason}")
        if len(broken) > SHOWN:
            print(f"   and {len(broken) - SHOWN} more")
    return data


def _load(
    settings: ImageFolderSettings, listing: Listing, name: str, known: Mapping[str, Any] | None = None
) -> ImageData:
    return load_listing(
        listing,
        settings.image_size,
        settings.fit,
        settings.skip_broken,
        settings.cache,
        settings.horizontal_flip,
        name,
        known,
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


if __name__ == "__main__":
    run(main)
