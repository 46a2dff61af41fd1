"""What an exporter's command line asks for: the classifier, its images to check with, the file, and what it is."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pictures.folder import image_folder
from keras_gssl.errors import UserError
from keras_gssl.export.calibrated import calibrate
from keras_gssl.export.check import TestImages, as_input, latency
from keras_gssl.export.deployable import Deployable, load_deployable
from keras_gssl.export.litert import to_litert
from keras_gssl.export.onnx_file import to_onnx
from keras_gssl.export.runners import litert_runner, onnx_runner, saved_model_runner
from keras_gssl.export.saved_model import to_saved_model
from keras_gssl.runs.data_reload import reload_data
from keras_gssl.runs.folder import RunFolder

CALIBRATION_IMAGES = 256
RUNNERS = {"onnx": onnx_runner, "litert": litert_runner, "saved_model": saved_model_runner}


def export(kind: str, arguments: argparse.Namespace) -> None:
    """Write the file that the command line asks for, and say what it is.

    Args:
        kind: `"onnx"`, `"saved_model"` or `"litert"`.
        arguments: As `command` reads them.

    Raises:
        UserError: They cannot be met.
    """
    model = _with_normalisation(load_deployable(arguments.source), arguments)
    model = calibrate(model, arguments.source, arguments.calibrated, arguments.prior, arguments.towards_rare)
    data, reason = _find_data(model, arguments)
    test = None if data is None else TestImages(data.test_images, data.test_labels, arguments.max_drop)
    path = _export(kind, model, arguments, data, test)
    _describe(path, model, arguments)
    if test is not None and test.measured:
        before, after = test.measured
        print(f"  accuracy {after:.2f} % on {len(test.labels):,} test images, Keras {before:.2f} %")
    else:
        print(f"  accuracy not measured: {reason}")
    image = np.zeros((1, *model.classifier.input_shape[1:]), "uint8")
    milliseconds = latency(RUNNERS[kind](path), as_input(model, image, arguments.input))
    print(f"  latency  {milliseconds:.2f} ms for one image on this machine's CPU, median of 50")


def _export(
    kind: str, model: Deployable, arguments: argparse.Namespace, data: ImageData | None, test: TestImages | None
) -> Path:
    if kind == "saved_model":
        return to_saved_model(model, arguments.output, arguments.input, arguments.probabilities, test)
    calibration = _calibration_images(data) if arguments.int8 and data is not None else None
    export = to_onnx if kind == "onnx" else to_litert
    return export(model, arguments.output, arguments.input, arguments.probabilities, calibration, test)


def _find_data(model: Deployable, arguments: argparse.Namespace) -> tuple[ImageData | None, str]:
    """The images to test and calibrate with, or why there are none; a file in int8 is not made without."""
    source, int8 = Path(arguments.source), getattr(arguments, "int8", False)
    folder = RunFolder.around(source)
    try:
        if not model.takes_pixels and model.mean is None:
            raise UserError("It is not known how images are to be normalised for the model: give --mean and --std.")
        if arguments.pictures:
            return _pictures(model, arguments.pictures), ""
        if folder.data.exists():
            return reload_data(folder, arguments.data_dir), ""
        reason = f"{source} is not in a run's folder: give --pictures DIR to measure it on pictures of yours."
    except UserError as error:
        if arguments.pictures or arguments.data_dir:
            raise
        reason = str(error)
    if int8:
        raise UserError(f"--int8 needs images to calibrate and to test with. {reason}")
    return None, reason


def _pictures(model: Deployable, source: Path) -> ImageData:
    """Pictures of the user's, whose folders are named like the model's classes."""
    reading: dict[str, Any] = {
        "fit": model.fit,
        "depth_range": model.depth_range,
        "cache": "memory",
        "duplicates": "ignore",
    }
    data = image_folder(source, model.classifier.input_shape[1], test=0.5, **reading)
    unknown = sorted(set(data.class_names) - set(model.class_names))
    if model.class_names and unknown:
        raise UserError(
            f"{source} has the class {unknown[0]!r}, which the model does not know; it knows "
            f"{', '.join(model.class_names[:10])}{', ...' if len(model.class_names) > 10 else ''}."
        )
    if not model.class_names:
        return data
    number = np.array([model.class_names.index(name) for name in data.class_names])
    return dataclasses.replace(
        data,
        train_labels=number[data.train_labels],
        test_labels=number[data.test_labels],
        class_names=model.class_names,
    )


def _calibration_images(data: ImageData) -> np.ndarray:
    """Training images of every class, as evenly as there are."""
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    rank = np.zeros(len(order), int)
    seen: dict[int, int] = {}
    for position in order:
        label = int(data.train_labels[position])
        rank[position] = seen[label] = seen.get(label, 0) + 1
    chosen = np.argsort(rank, kind="stable")[:CALIBRATION_IMAGES]
    return np.asarray(data.train_images[np.sort(chosen)])


def _describe(path: Path, model: Deployable, arguments: argparse.Namespace) -> None:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    pixels = "pixels 0-255" if model.takes_pixels else "normalised pixels"
    compared = "random and real images" if len(model.samples) else "random images (no real ones came with the model)"
    print(f"{path}: {sum(file.stat().st_size for file in files) / 2**20:.2f} MiB")
    print(f"  input  image         {arguments.input}, {pixels}, shape (batch, {_shape(model)})")
    print(f"  output {'probabilities' if arguments.probabilities else 'logits       '} {_classes(model)}")
    _describe_probabilities(model, arguments)
    if getattr(arguments, "int8", False):
        print(f"  weights and activations in int8, calibrated on up to {CALIBRATION_IMAGES} training images")
    else:
        print(f"  equal to Keras on {compared}, batch 1 and 7")


def _describe_probabilities(model: Deployable, arguments: argparse.Namespace) -> None:
    if arguments.calibrated:
        print(f"  calibrated: logits divided by {model.adjustment.temperature:.3f}, from the validation pictures")
        folder = RunFolder.around(Path(arguments.source))
        before, after = folder.read_json(folder.calibration)["test_calibration_error"].values()
        alone = ", with that alone," if arguments.prior is not None or arguments.towards_rare else ""
        print(f"  calibration error on the test images{alone} {100 * after:.2f} %, without {100 * before:.2f} %")
        if after > before:
            print("  that is worse: leave --calibrated out, or train with more validation pictures")
    if arguments.prior is not None:
        told = arguments.prior if isinstance(arguments.prior, str) else "as given"
        print(f"  logits for another class mix: {told}")
    if arguments.towards_rare:
        often = "more" if arguments.towards_rare > 0 else "less"
        print(f"  rare classes are named {often} often: strength {arguments.towards_rare:g}")
    if model.thresholds:
        print("  predict can abstain: it knows the thresholds for precisions of 0.5 to 0.99 (--precision)")


def _with_normalisation(model: Deployable, arguments: argparse.Namespace) -> Deployable:
    if arguments.no_normalisation:
        model = dataclasses.replace(model, normalise_inside=False)
    if arguments.mean is None:
        return model
    channels = model.classifier.input_shape[-1]
    for name, values in (("--mean", arguments.mean), ("--std", arguments.std)):
        if len(values) not in (1, channels):
            raise UserError(f"{name} needs 1 or {channels} numbers, received {len(values)}.")
    mean, std = ((values * channels)[:channels] for values in (arguments.mean, arguments.std))
    return dataclasses.replace(model, mean=tuple(mean), std=tuple(std))


def _shape(model: Deployable) -> str:
    return ", ".join(map(str, model.classifier.input_shape[1:]))


def _classes(model: Deployable) -> str:
    count = model.classifier.output_shape[-1]
    names = model.class_names
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"float32, shape (batch, {count})" + (f": {shown}" if names else "")
