"""Gated self-supervision on your own pictures: a folder with one sub-folder per class, or a list of path and label.

Pictures may be JPEG, PNG, BMP, GIF, WebP or TIFF, of any size, in colour, greyscale, with a palette, transparent or
in CMYK; they are turned as the camera says and brought to one square size without distortion. A share of each class is
held out for testing, and another to choose the best epoch and to calibrate on; which pictures those are is kept with
the run. Where the folder has train and test (and valid) folders above the classes, those are the split. Data larger
than memory is read from disk.

Unless another recipe, a method, a loss or pretext tasks are named, the recipe is fast, the loss logit-adjusted
cross-entropy and the pictures go through RandAugment: on photographs nothing that costs as little was better.
`keras-gssl compare` tells what is on yours.

    python -m keras_gssl.recipes.image_folder photos
    python -m keras_gssl.recipes.image_folder photos --method moe                   # with pretext tasks and gate
    python -m keras_gssl.recipes.image_folder photos --validation 0.1 --test other_photos
    python -m keras_gssl.recipes.image_folder photos --image-size 128 --epochs 50 --backbone MobileNetV2
    python -m keras_gssl.recipes.image_folder pictures.csv --skip-broken --fit pad
    python -m keras_gssl.recipes.image_folder --resume                              # the newest run goes on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keras_gssl.data.pictures.archives import is_archive
from keras_gssl.data.pictures.decode import FITS, depth_range_in
from keras_gssl.data.pictures.found import Columns
from keras_gssl.data.pictures.listing import Listing, check_shares, list_pictures
from keras_gssl.data.pictures.reading import CACHES, DUPLICATES, Reading
from keras_gssl.errors import UserError, counted
from keras_gssl.recipes.command_line import parse, run
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings, setting

if TYPE_CHECKING:
    from keras_gssl.backend import keras
    from keras_gssl.data.image_data import ImageData

NAME = "image_folder"
SHOWN = 5  # broken files and other files that are named


@dataclasses.dataclass(frozen=True)
class ImageFolderSettings(TrainingSettings):
    """Training settings that suit a few thousand pictures of 64x64, and how the pictures are read."""

    source: str | None = setting(
        None,
        "folder with one sub-folder per class, list of path and label (CSV or text), .npz file, or tfds:NAME",
        positional="DIR",
    )
    image_size: int = setting(64, "side of the square that every picture is brought to, in pixels")
    fit: str = setting("crop", "how pictures become square: cut the ends off, or add black ones", FITS)
    test: float | str = setting(0.2, "share of each class that is held out for testing, or a folder or list")
    validation: float | str = setting(
        0.1, "share that best epoch, temperature and thresholds are chosen on, or a folder or list; 0 for none"
    )
    fold: tuple[int, ...] = setting((), "number of a part, from 1, and how many there are: test on that part")
    root: str | None = setting(None, "folder that the paths in a list start from; default: the list's own")
    path_column: str | None = setting(None, "column of a list that names the picture, if it is not called as usual")
    label_column: str | None = setting(None, "column that names the class")
    split_column: str | None = setting(None, "column that says train, validation or test")
    group_column: str | None = setting(None, "column whose like pictures stay on one side, such as patient or camera")
    corrections: str | None = setting(None, "list of path and label, of an audit: what these pictures really are")
    depth_range: tuple[float, ...] = setting(
        (), "black and white in greyscale pictures of more than 8 bits; none: the bits that they use"
    )
    duplicates: str = setting(
        "name", "pictures on two sides of the split: name them, drop the held-out ones, or ignore", DUPLICATES
    )
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
    default_recipe = "fast"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reading()
        check_shares(self.test, self.validation)
        for name in ("fold", "depth_range"):
            if len(getattr(self, name)) not in (0, 2):
                raise ValueError(f"{name} must be two numbers, received {' '.join(map(str, getattr(self, name)))}")

    def reading(self) -> Reading:
        """How the files are read."""
        low, high = self.depth_range if len(self.depth_range) == 2 else (None, None)
        return Reading(
            self.image_size,
            self.fit,
            None if low is None or high is None else (low, high),
            self.skip_broken,
            self.duplicates,
            self.cache,
            self.horizontal_flip,
        )

    def listing(self, source: Path) -> Listing:
        """The pictures, split as these settings say."""
        columns = Columns(self.path_column, self.label_column, self.split_column, self.group_column)
        fold = (self.fold[0], self.fold[1]) if self.fold else None
        return list_pictures(
            source, self.test, self.validation, self.split_seed, self.root, columns, fold, self.corrections
        )


def main(argv: Sequence[str] | None = None, callbacks: Sequence[keras.callbacks.Callback] = ()) -> RunResult:
    settings = parse(ImageFolderSettings, NAME, __doc__, argv)
    if not settings.resume:
        _source(settings)
    # TensorFlow takes seconds to load, which a mistake in the options need not wait for.
    from keras_gssl.recipes.experiment import run_experiment

    return run_experiment(NAME, lambda folder: load(settings, folder), settings, callbacks)


def load(settings: ImageFolderSettings, folder: RunFolder) -> ImageData:
    """The pictures, listed anew or, in a run that is resumed, as they were listed when it began."""
    if settings.resume:
        return _again(settings, folder)
    source = _source(settings)
    return _arrays(settings, source) if is_archive(source) else _listed(settings, Path(source))


def _source(settings: ImageFolderSettings) -> str:
    if settings.source is None:
        raise UserError("DIR is needed: a folder with one sub-folder per class, or a list (see --help).")
    return settings.source


def _again(settings: ImageFolderSettings, folder: RunFolder) -> ImageData:
    from keras_gssl.data.pictures.folder import load_listing

    about = read_description(folder)
    known = about["source"] or {}
    if known.get("function") not in ("image_arrays", "image_folder"):
        raise UserError(
            f"The run in {folder.path} was begun on {about['name']}, not on pictures of yours: resume it with the "
            f"recipe that began it."
        )
    if known["function"] == "image_arrays":
        return _arrays(settings, settings.source or known["source"])
    listing = list_pictures(
        folder.manifest.check(folder.pictures), root=settings.root or settings.source or known["root"]
    )
    reading = dataclasses.replace(settings.reading(), depth_range=depth_range_in(known))
    return load_listing(listing, reading, about["name"], about)


def _listed(settings: ImageFolderSettings, source: Path) -> ImageData:
    """The pictures, and on the terminal what was passed over or left out."""
    from keras_gssl.data.pictures.folder import load_listing

    listing = settings.listing(source)
    if listing.not_pictures:
        others = counted(len(listing.not_pictures), "file that is no picture", "files that are no pictures")
        print(f"Passed over {others}: {_some(listing.not_pictures)}")
    if listing.empty:
        print(f"Passed over {counted(len(listing.empty), 'sub-folder')} without pictures: {_some(listing.empty)}")
    data = load_listing(listing, settings.reading(), source.stem)
    for note in data.listing.notes:
        print(note)
    broken = data.listing.broken
    if broken:
        print(f"Left out {counted(len(broken), 'picture')} that cannot be read:")
        for name, reason in list(broken.items())[:SHOWN]:
            print(f"   {name}: {reason}")
        if len(broken) > SHOWN:
            print(f"   and {len(broken) - SHOWN} more")
    return data


def _arrays(settings: ImageFolderSettings, source: str) -> ImageData:
    from keras_gssl.data.pictures.arrays import image_arrays

    reading = settings.reading()
    for name in ("root", "path_column", "label_column", "split_column", "group_column", "corrections"):
        if getattr(settings, name) is not None:
            raise UserError(f"{name} is for folders and lists of pictures, not for arrays ({source}): leave it out.")
    if not isinstance(settings.test, float) or not isinstance(settings.validation, float) or settings.fold:
        raise UserError(f"test and validation must be shares, without folds, where the pictures are arrays ({source}).")
    return image_arrays(
        source, settings.image_size, settings.test, settings.validation, settings.split_seed,
        fit=reading.fit, depth_range=reading.depth_range, horizontal_flip=reading.horizontal_flip,
    )  # fmt: skip


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


if __name__ == "__main__":
    run(main)
