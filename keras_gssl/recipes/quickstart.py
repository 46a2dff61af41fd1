"""The whole way in a few minutes, without any download: train, compare, export.

Four trainings on long-tailed handwritten digits (110 pictures of the most frequent class, 2 of the rarest), each with
one thing more than the one before: plain cross-entropy, the loss for long tails, altered quadrants, pretext tasks with
their gate. So one sees which part of the gain comes from what. The last one is exported as ONNX and SavedModel.

Test accuracy in percent after the last epoch, mean (standard deviation) over seeds 0 to 9, measured beforehand:

    cross-entropy                      81.1 (1.0)   rare classes 68.9 (1.7)
    LDAM-DRW                           90.9 (1.6)                86.3 (2.5)
    LDAM-DRW + augmentation alone      91.0 (1.1)                86.3 (1.8)
    LDAM-DRW + gated tasks             91.5 (1.0)                87.1 (1.5)

    python -m keras_gssl.recipes.quickstart
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_gssl.class_groups import FEW_BELOW, MANY_ABOVE
from keras_gssl.errors import UserError
from keras_gssl.recipes.command_line import parse, run
from keras_gssl.recipes.digits_lt import DigitsSettings
from keras_gssl.recipes.results import format_table
from keras_gssl.recipes.run_dirs import choose_folder
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import LOSSES
from keras_gssl.runs.titles import title

if TYPE_CHECKING:
    from keras_gssl.backend import keras

NAME = "quickstart"
MEASURED = """
One seed tells little. Over seeds 0 to 9, measured beforehand, with 95 % intervals of paired differences, each part
brought so many points over the line above it; an interval that holds 0 may be noise:
                               all classes             classes with few pictures
LDAM-DRW                        9.9 (8.3 to 11.5)      17.4 (14.9 to 20.0)
+ augmentation alone            0.0 (-0.9 to 1.0)       0.0 (-1.5 to 1.5)
+ gated tasks                   0.5 (-0.6 to 1.6)       0.8 (-0.7 to 2.2)"""


def main(argv: Sequence[str] | None = None, callbacks: Sequence[keras.callbacks.Callback] = ()) -> dict[str, RunResult]:
    settings = parse(DigitsSettings, NAME, __doc__, argv)
    # TensorFlow takes seconds to load, which a mistake in the options need not wait for.
    from keras_gssl.data.sources import digits_lt
    from keras_gssl.export.deployable import load_deployable
    from keras_gssl.export.onnx_file import to_onnx
    from keras_gssl.export.saved_model import to_saved_model
    from keras_gssl.report.comparison import write_comparison
    from keras_gssl.report.model_card import write_model_card
    from keras_gssl.report.run_report import write_report
    from keras_gssl.runs.training import train

    folder = choose_folder(NAME, settings.run_dir, settings.resume)
    try:
        data = digits_lt(settings.imbalance_ratio)
    except UserError:
        raise
    except ValueError as error:  # a ratio that leaves a class without pictures
        raise UserError(str(error)) from error
    runs = runs_of(settings, folder)

    print(f"1. Data: {data.name}, {len(data.train_labels)} training pictures, {len(data.test_labels)} test pictures.")
    print(f"   Training pictures per class: {', '.join(map(str, data.class_counts))}.")
    print(f"2. Training {len(runs)} networks, {settings.effective().epochs} epochs each, a few minutes in all:")
    start = time.monotonic()
    results = {}
    for name, (its_settings, its_folder) in reversed(runs.items()):  # first the one whose folder a --resume asks for
        print(f"   {name}", flush=True)
        resume = settings.resume and its_folder.settings.exists()
        its_callbacks = callbacks if its_folder is folder else ()
        results[name] = train(its_settings, data, its_folder, resume, 20, its_callbacks)
    seconds = time.monotonic() - start
    print("3. Report and exports.")
    write_report(folder.path)
    for _, its_folder in runs.values():
        write_model_card(its_folder.path)
    paths = [its_folder.path for _, its_folder in runs.values()]
    comparison = write_comparison(paths, folder.path / "comparison.html", list(runs))
    deployable = load_deployable(folder.path)
    files = [
        to_onnx(deployable, folder.path / "classifier.onnx"),
        to_saved_model(deployable, folder.path / "classifier"),
    ]

    print(f"\nTest accuracy in percent after {settings.effective().epochs} epochs ({seconds:.0f} s for all), one seed:")
    print(format_table({name: results[name].last_epoch for name in runs}))
    print(f"many: more than {MANY_ABOVE} training pictures per class; few: fewer than {FEW_BELOW}.")
    if dataclasses.replace(settings, seed=0, run_dir=None, resume=False) == DigitsSettings():
        print(MEASURED)
    print(f"\nRun folder:       {folder.path}")
    print(f"All runs:         {comparison}")
    for kind, file in zip(("ONNX:      ", "SavedModel:"), files, strict=True):
        print(f"{kind}       {file}   (pixels 0-255 in, logits out, checked against Keras)")
    print(f"Keras classifier: {folder.classifier}")
    print(f"Report:           {folder.report.resolve().as_uri()}   (open it in a browser)")
    return results


def runs_of(settings: DigitsSettings, folder: RunFolder) -> dict[str, tuple[DigitsSettings, RunFolder]]:
    """What is trained and where, by the names that tables show: plain cross-entropy, then with one thing more each.

    The last is what was asked for.
    """
    runs = {}
    for method in dict.fromkeys(("ce", LOSSES[settings.loss], "augment-only")):
        its_settings = dataclasses.replace(settings, **METHODS[method])
        if its_settings.method == method != settings.method:  # without tasks there is nothing to alter
            runs[title(method, its_settings.loss)] = its_settings, RunFolder(folder.path / method)
    return {**runs, title(settings.method, settings.loss): (settings, folder)}


if __name__ == "__main__":
    run(main)
