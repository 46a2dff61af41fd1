"""The whole way in about a minute, without any download: train, evaluate, export.

Trains gated self-supervision on long-tailed handwritten digits (110 pictures of the most frequent class, 2 of the
rarest), then a plain cross-entropy run of the same length, compares both on frequent and rare classes, and exports the
classifier as ONNX and SavedModel.

    python -m keras_gssl.recipes.quickstart
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from keras_gssl.backend import keras
from keras_gssl.data.sources import digits_lt
from keras_gssl.errors import UserError
from keras_gssl.export.deployable import load_deployable
from keras_gssl.export.onnx_file import to_onnx
from keras_gssl.export.saved_model import to_saved_model
from keras_gssl.metrics import FEW_BELOW, MANY_ABOVE
from keras_gssl.recipes.command_line import parse, run
from keras_gssl.recipes.results import format_table
from keras_gssl.recipes.run_dirs import choose_folder
from keras_gssl.report.comparison import write_comparison
from keras_gssl.report.model_card import write_model_card
from keras_gssl.report.run_report import write_report
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.precision import PRECISIONS
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import METHODS, TrainingSettings, setting
from keras_gssl.runs.training import train

NAME = "quickstart"


@dataclasses.dataclass(frozen=True)
class QuickstartSettings(TrainingSettings):
    """A small network and a short schedule."""

    backbone: str = setting("resnet8", "network: resnet8, resnet14, ..., resnet32, ...")
    epochs: int = setting(60, "passes over the training images")
    batch_size: int = setting(32, "images per step")
    precision: str = setting("float32", "Keras dtype policy; so small a network gains nothing by another", PRECISIONS)
    validation_freq: int = setting(5, "evaluate on the test set every so many epochs")
    imbalance_ratio: float = setting(0.02, "images of the rarest class over those of the most frequent one")


def main(argv: Sequence[str] | None = None, callbacks: Sequence[keras.callbacks.Callback] = ()) -> dict[str, RunResult]:
    settings = parse(QuickstartSettings, NAME, __doc__, argv)
    folder = choose_folder(NAME, settings.run_dir, settings.resume)
    try:
        data = digits_lt(settings.imbalance_ratio)
    except UserError:
        raise
    except ValueError as error:  # a ratio that leaves a class without pictures
        raise UserError(str(error)) from error
    plain_settings = dataclasses.replace(settings, **METHODS["ce"])
    plain_folder = RunFolder(folder.path / "plain_cross_entropy")

    print(f"1. Data: {data.name}, {len(data.train_labels)} training pictures, {len(data.test_labels)} test pictures.")
    print(f"   Training pictures per class: {', '.join(map(str, data.class_counts))}.")
    start = time.monotonic()
    name = "gated self-supervision" if settings.method == "moe" else f"method {settings.method}"
    print(f"2. {name.capitalize()}: {' + '.join(settings.tasks) or 'no pretext task'}, loss {settings.loss}.")
    gated = train(settings, data, folder, settings.resume, 10, callbacks)
    print("3. Plain cross-entropy, same network, same length.")
    plain = train(
        plain_settings, data, plain_folder, settings.resume and plain_folder.settings.exists(), report_every=10
    )
    seconds = time.monotonic() - start
    print("4. Report and export.")
    for each in (folder, plain_folder):
        write_report(each.path)
        write_model_card(each.path)
    comparison = write_comparison([folder.path, plain_folder.path], folder.path / "comparison.html")
    deployable = load_deployable(folder.path)
    files = [
        to_onnx(deployable, folder.path / "classifier.onnx"),
        to_saved_model(deployable, folder.path / "classifier"),
    ]

    rows = {name: gated.last_epoch, "plain cross-entropy": plain.last_epoch}
    length = f"{settings.effective().epochs} epochs ({seconds:.0f} s for both runs)"
    print(f"\nTest accuracy in percent after {length}, one seed:")
    print(format_table(rows))
    print(f"many: more than {MANY_ABOVE} training pictures per class; few: fewer than {FEW_BELOW}.")
    print(f"\nRun folder:       {folder.path}")
    print(f"Report:           {folder.report}   (a page to open in a browser)")
    print(f"Both runs:        {comparison}")
    for kind, file in zip(("ONNX:      ", "SavedModel:"), files, strict=True):
        print(f"{kind}       {file}   (pixels 0-255 in, logits out, checked against Keras)")
    print(f"Keras classifier: {folder.classifier}")
    return {"gated": gated, "plain": plain}


if __name__ == "__main__":
    run(main)
