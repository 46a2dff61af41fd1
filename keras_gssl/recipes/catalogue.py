"""The recipes by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from keras_gssl.recipes import cifar10_lt, cifar100_lt, digits_lt, image_folder, tiny_imagenet
from keras_gssl.recipes.cifar_lt import CifarSettings
from keras_gssl.runs.settings import TrainingSettings


class Recipe(NamedTuple):
    """An experiment as a command.

    Attributes:
        main: Takes the command line; trains, evaluates, reports.
        settings: What the command line sets.
        module: Where both are.
    """

    main: Callable[..., Any]
    settings: type[TrainingSettings]
    module: ModuleType


RECIPES: Mapping[str, Recipe] = {
    "image_folder": Recipe(image_folder.main, image_folder.ImageFolderSettings, image_folder),
    "cifar10_lt": Recipe(cifar10_lt.main, CifarSettings, cifar10_lt),
    "cifar100_lt": Recipe(cifar100_lt.main, CifarSettings, cifar100_lt),
    "tiny_imagenet": Recipe(tiny_imagenet.main, tiny_imagenet.TinyImageNetSettings, tiny_imagenet),
    "digits_lt": Recipe(digits_lt.main, digits_lt.DigitsSettings, digits_lt),
}


def summary(name: str) -> str:
    """The first line of what a recipe's module says of itself."""
    return (RECIPES[name].module.__doc__ or "").strip().splitlines()[0]
