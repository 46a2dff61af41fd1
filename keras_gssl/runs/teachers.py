"""Networks that are trained first, for the run's own network to learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from keras_gssl.bounds import LARGEST_SEED
from keras_gssl.data.image_data import ImageData
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.settings import TrainingSettings


def with_teachers(
    settings: TrainingSettings, data: ImageData, folder: RunFolder, train: Callable[..., object], report_every: int
) -> TrainingSettings:
    """Train the teachers, or the rest of them: runs of the same settings with other seeds, on the same images.

    Args:
        settings: Of the run, with `teachers`.
        data: Images.
        folder: Of the run; each teacher has a run folder of its own in `teachers/`, to be resumed as any.
        train: `keras_gssl.runs.training.train`.
        report_every: As for `train`.

    Returns:
        The settings with the teachers among those to learn from.
    """
    theirs = dataclasses.replace(settings, teachers=0, distil=())
    distil = list(settings.distil)
    for number in range(1, settings.teachers + 1):
        own = RunFolder(folder.path / "teachers" / str(number))
        if not own.metrics.exists():
            print(f"Teacher {number} of {settings.teachers}, a run of its own in {own.path}:")
            seed = (settings.seed + 1000 * number) % (LARGEST_SEED + 1)  # far from those of runs to compare with
            train(dataclasses.replace(theirs, seed=seed), data, own, own.settings.exists(), report_every)
        distil.append(str(own.path))
    print("The run's own network, which learns from what they say, too:")
    return dataclasses.replace(settings, teachers=0, distil=tuple(distil))
