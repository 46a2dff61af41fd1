"""Gated self-supervision on long-tailed handwritten digits: no download, half a minute for a run.

The 1,797 digits that come with scikit-learn, 110 pictures of the most frequent class and 2 of the rarest: the small
experiment of this package, what `quickstart` shows, and what gates and draws are tried on first.

    python -m keras_gssl.recipes.digits_lt
    python -m keras_gssl.recipes.digits_lt --method augment-only                   # the tasks as augmentation alone
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_gssl.recipes.command_line import parse, run
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings, setting, with_default

if TYPE_CHECKING:
    from keras_gssl.backend import keras

NAME = "digits_lt"


@dataclasses.dataclass(frozen=True)
class DigitsSettings(TrainingSettings):
    """A small network and a short schedule."""

    backbone: str = with_default("backbone", "resnet8")
    epochs: int = with_default("epochs", 40)
    batch_size: int = with_default("batch_size", 32)
    schedule: str = with_default("schedule", "linear")
    nesterov: bool = with_default("nesterov", True)
    warmup_epochs: int = with_default("warmup_epochs", 2)
    weight_decay: float = with_default("weight_decay", 5e-4)
    plain_epochs: int = with_default("plain_epochs", 4)
    draw: str = with_default("draw", "one")
    share: float = with_default("share", 0.5)
    task_heads: str = with_default("task_heads", "dense")
    ssl_ratio: float = with_default("ssl_ratio", 0.5)
    gating: str = with_default("gating", "look-ahead")
    precision: str = with_default("precision", "float32")  # so small a network gains nothing by another
    validation_freq: int = with_default("validation_freq", 5)
    imbalance_ratio: float = setting(0.02, "images of the rarest class over those of the most frequent one")


def main(argv: Sequence[str] | None = None, callbacks: Sequence[keras.callbacks.Callback] = ()) -> RunResult:
    settings = parse(DigitsSettings, NAME, __doc__, argv)
    # TensorFlow takes seconds to load, which a mistake in the options need not wait for.
    from keras_gssl.data.sources import digits_lt
    from keras_gssl.recipes.experiment import run_experiment

    return run_experiment(NAME, lambda _: digits_lt(settings.imbalance_ratio), settings, callbacks)


if __name__ == "__main__":
    run(main)
