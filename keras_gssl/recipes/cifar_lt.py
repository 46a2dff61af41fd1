"""What the CIFAR-10-LT and CIFAR-100-LT recipes share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_gssl.data import ImageData
from keras_gssl.data.long_tail import IMBALANCES
from keras_gssl.errors import UserError
from keras_gssl.recipes.command_line import describe_settings
from keras_gssl.recipes.results import format_results
from keras_gssl.run_folder import RunFolder
from keras_gssl.training import TrainingSettings, setting, train


@dataclasses.dataclass(frozen=True)
class CifarSettings(TrainingSettings):
    """Training settings, and which long tail."""

    imbalance_ratio: float = setting(0.01, "images of the rarest class over those of the most frequent one")
    imbalance: str = setting("exp", "shape of the long tail", IMBALANCES)
    data_dir: str | None = setting(None, "folder of tensorflow-datasets; default TFDS_DATA_DIR, then its own default")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.imbalance_ratio <= 1:
            raise ValueError(f"imbalance_ratio must be above 0 and at most 1, received {self.imbalance_ratio}")


def run_cifar(name: str, load: Callable[..., ImageData], settings: CifarSettings) -> dict[str, Any]:
    """Train on the data set that `load` gives, print and write the results."""
    folder = RunFolder.choose(name, settings.run_dir, settings.resume)
    try:
        data = load(settings.imbalance_ratio, settings.imbalance, settings.data_dir)
    except ValueError as error:  # a ratio that leaves a class without images
        raise UserError(str(error)) from error
    if settings.quick:
        data = data.head(32 * data.num_classes, 200)
    counts = f"{len(data.train_labels)} training and {len(data.test_labels)} test images"
    print(f"{data.name}: {counts}; {describe_settings(settings)}")
    results = train(settings, data, folder, settings.resume)
    print(format_results(results, folder))
    return results
