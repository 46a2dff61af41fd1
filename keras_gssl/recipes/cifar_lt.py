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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.imbalance_ratio <= 1:
            raise ValueError(f"imbalance_ratio must be above 0 and at most 1, received {self.imbalance_ratio}")
