"""Gated self-supervision on Tiny-ImageNet, with the settings behind the paper's Table 2.

"Gated Self-Supervised Learning for Improving Supervised Learning" (arXiv 2301.05865), Table 2: ResNet-18, plain
cross-entropy, 300 epochs. Published top-1 accuracy on the validation images, best epoch, single runs: plain 46.68,
ungated sum of the three tasks 48.86, all three with the frozen gate 48.99.

    python -m keras_gssl.recipes.tiny_imagenet --data-dir tiny-imagenet-200
    python -m keras_gssl.recipes.tiny_imagenet --data-dir tiny-imagenet-200 --method ce            # no pretext task
    python -m keras_gssl.recipes.tiny_imagenet --data-dir tiny-imagenet-200 --backbone resnet18_small   # released code
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_gssl.data.pictures.reading import CACHES
from keras_gssl.errors import UserError
from keras_gssl.recipes.command_line import parse, run
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings, setting

if TYPE_CHECKING:
    from keras_gssl.backend import keras

NAME = "tiny_imagenet"


@dataclasses.dataclass(frozen=True)
class TinyImageNetSettings(TrainingSettings):
    """The settings behind Table 2."""

    loss: str = setting("ce", "class loss: LDAM with deferred re-weighting, or plain cross-entropy", ("ldam", "ce"))
    backbone: str = setting(
        "resnet18_imagenet", "resnet18_imagenet (stem 7x7/2 and max-pool), resnet18_small (stem 3x3), resnet32, ..."
    )
    epochs: int = setting(300, "passes over the training images")
    batch_size: int = setting(256, "images per step")
    drop_epochs: tuple[int, ...] = setting(
        (74, 149, 224, 299), "epochs at which the learning rate drops, for 300 epochs; shorter runs scale them"
    )
    drop_factor: float = setting(0.1, "what the learning rate is multiplied by at each drop")
    reweight_epoch: int = setting(240, "epoch from which classes are re-weighted (loss ldam), for 300 epochs")
    data_dir: str | None = setting(None, "the folder tiny-imagenet-200 as its archive unpacks (needed)")
    cache: str = setting(
        "auto",
        "keep decoded images in memory (up to 4 GB), read them from disk, or as it fits",
        CACHES,
    )

    full_epochs = 300


def main(argv: Sequence[str] | None = None, callbacks: Sequence[keras.callbacks.Callback] = ()) -> RunResult:
    settings = parse(TinyImageNetSettings, NAME, __doc__, argv)
    data_dir = settings.data_dir
    if data_dir is None:
        raise UserError("--data-dir is needed: the folder tiny-imagenet-200 as its archive unpacks (see --help).")
    # TensorFlow takes seconds to load, which a mistake in the options need not wait for.
    from keras_gssl.data.imagenet import tiny_imagenet
    from keras_gssl.recipes.experiment import run_experiment

    return run_experiment(
        NAME, lambda _: tiny_imagenet(data_dir, "disk" if settings.quick else settings.cache), settings, callbacks
    )


if __name__ == "__main__":
    run(main)
