"""Settings that the CIFAR-10-LT and CIFAR-100-LT recipes share."""

from __future__ import annotations

import dataclasses

from keras_gssl.data.long_tail import IMBALANCES
from keras_gssl.runs.settings import TrainingSettings, setting


@dataclasses.dataclass(frozen=True)
class CifarSettings(TrainingSettings):
    """Training settings, and which long tail."""

    imbalance_ratio: float = setting(0.01, "images of the rarest class over those of the most frequent one")
    imbalance: str = setting("exp", "shape of the long tail", IMBALANCES)
    data_dir: str | None = setting(None, "folder of tensorflow-datasets; default TFDS_DATA_DIR, then its own default")
