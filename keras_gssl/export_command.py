"""The command line that the scripts in export/ share."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_gssl.errors import UserError
from keras_gssl.export import INPUT_TYPES, Deployable, ExportError, load_deployable, to_onnx, to_saved_model

EXPORTERS = {"onnx": to_onnx, "saved_model": to_saved_model}


def main(kind: str, description: str, argv: Sequence[str] | None = None) -> int:
    """Export and say what was written. Returns the exit code: 2 for a user's mistake, 1 for a failed check."""
    arguments = _parser(description).parse_args(argv)
    try:
        model = _with_normalisation(load_deployable(arguments.source), arguments)
        path = EXPORTERS[kind](model, arguments.output, arguments.input, arguments.probabilities)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1 if isinstance(error, ExportError) else 2
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    pixels = "normalised pixels" if model.mean is None else "pixels 0-255"
    compared = "random and real images" if len(model.samples) else "random images (no real ones came with the model)"
    print(f"{path}: {sum(file.stat().st_size for file in files) / 2**20:.2f} MiB")
    print(f"  input  image         {arguments.input}, {pixels}, shape (batch, {_shape(model)})")
    print(f"  output {'probabilities' if arguments.probabilities else 'logits       '} {_classes(model)}")
    print(f"  equal to Keras on {compared}, batch 1 and 7")
    return 0


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="RUN_OR_MODEL", help="a run folder, or a .keras file")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="what to write")
    parser.add_argument("--input", choices=INPUT_TYPES, default="uint8", help="type of the pixels (default: uint8)")
    parser.add_argument("--probabilities", action="store_true", help="give probabilities instead of logits")
    parser.add_argument(
        "--no-normalisation", action="store_true", help="leave the normalisation out: the caller does it (float32 only)"
    )
    for name in ("mean", "std"):
        parser.add_argument(
            f"--{name}",
            nargs="+",
            type=float,
            metavar="X",
            help=f"{name} of each channel on the scale 0-1 (default: the run's)",
        )
    return parser


def _with_normalisation(model: Deployable, arguments: argparse.Namespace) -> Deployable:
    if arguments.no_normalisation:
        return dataclasses.replace(model, mean=None, std=None)
    if (arguments.mean is None) != (arguments.std is None):
        raise UserError("Give both --mean and --std, or neither.")
    if arguments.mean is None:
        return model
    channels = model.classifier.input_shape[-1]
    for name, values in (("--mean", arguments.mean), ("--std", arguments.std)):
        if len(values) not in (1, channels):
            raise UserError(f"{name} needs 1 or {channels} numbers, received {len(values)}.")
    if min(arguments.std) <= 0:
        raise UserError(f"--std must be above 0, received {min(arguments.std):g}.")
    mean, std = ((values * channels)[:channels] for values in (arguments.mean, arguments.std))
    return dataclasses.replace(model, mean=tuple(mean), std=tuple(std))


def _shape(model: Deployable) -> str:
    return ", ".join(map(str, model.classifier.input_shape[1:]))


def _classes(model: Deployable) -> str:
    count = model.classifier.output_shape[-1]
    names = model.class_names
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"float32, shape (batch, {count})" + (f": {shown}" if names else "")
