"""What the recipes of single data sets share: load, train, print."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keras_gssl.backend import keras, tf
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pictures.files import ImageFiles
from keras_gssl.errors import UserError, one_line
from keras_gssl.recipes.command_line import describe_settings
from keras_gssl.recipes.results import format_results
from keras_gssl.recipes.run_dirs import choose_folder
from keras_gssl.report.model_card import write_model_card
from keras_gssl.report.run_report import write_report
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train


def run_experiment(
    name: str,
    load: Callable[[RunFolder], ImageData],
    settings: TrainingSettings,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RunResult:
    """Train on the data set that `load` gives for a run folder, print and write the results."""
    folder = choose_folder(name, settings.run_dir, settings.resume)
    try:
        data = load(folder)
    except UserError:
        raise
    except ValueError as error:  # a ratio that leaves a class without images
        raise UserError(str(error)) from error
    if settings.quick:
        data = data.head(max(320, 2 * data.num_classes), 200)
    validated = "" if data.validation_labels is None else f", {len(data.validation_labels)} validation"
    counts = f"{len(data.train_labels)} training{validated} and {len(data.test_labels)} test images"
    print(one_line(f"{data.name}: {counts}; {describe_settings(settings)}"))
    try:
        results = train(settings, data, folder, settings.resume, callbacks=callbacks)
    except tf.errors.OpError:  # perhaps a picture that could not be decoded: say which
        for images in (data.train_images, data.test_images, data.validation_images):
            if isinstance(images, ImageFiles):
                images.check()
        raise
    write_report(folder.path)
    write_model_card(folder.path)
    print(format_results(results, folder))
    return results
