"""What the recipes of single data sets share: load, train, print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_gssl.data import ImageData, ImageFiles
from keras_gssl.errors import UserError
from keras_gssl.recipes.command_line import describe_settings
from keras_gssl.recipes.results import format_results
from keras_gssl.report import write_model_card, write_report
from keras_gssl.run_folder import RunFolder
from keras_gssl.settings import TrainingSettings
from keras_gssl.training import train


def run_experiment(name: str, load: Callable[[RunFolder], ImageData], settings: TrainingSettings) -> dict[str, Any]:
    """Train on the data set that `load` gives for a run folder, print and write the results."""
    folder = RunFolder.choose(name, settings.run_dir, settings.resume)
    try:
        data = load(folder)
    except ValueError as error:  # a ratio that leaves a class without images
        raise UserError(str(error)) from error
    if settings.quick:
        data = data.head(max(320, 2 * data.num_classes), 200)
    counts = f"{len(data.train_labels)} training and {len(data.test_labels)} test images"
    print(f"{data.name}: {counts}; {describe_settings(settings)}")
    try:
        results = train(settings, data, folder, settings.resume)
    except tf.errors.OpError:  # perhaps a picture that could not be decoded: say which
        for images in (data.train_images, data.test_images):
            if isinstance(images, ImageFiles):
                images.check()
        raise
    write_report(folder.path)
    write_model_card(folder.path)
    print(format_results(results, folder))
    return results
