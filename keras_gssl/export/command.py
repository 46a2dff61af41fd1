"""The command line of the exporters: `python -m keras_gssl.export`, and the scripts in export/."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from keras_gssl.arguments import Parser
from keras_gssl.choices import PRIORS
from keras_gssl.errors import UserError, as_command
from keras_gssl.export.interface import INPUT_TYPES

KINDS = {
    "onnx": "an ONNX file; input image, output logits (or probabilities), batch size free",
    "saved-model": "a SavedModel that needs TensorFlow alone; signature serving_default",
    "litert": "a LiteRT (TensorFlow Lite) file",
}
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}


def main(kind: str, description: str, argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Export and say what was written. Returns the exit code: 2 for a user's mistake, 1 for a failed check.

    Args:
        kind: `"onnx"`, `"saved_model"` or `"litert"`.
        description: For `--help`.
        argv: Command line.
        prog: How the command is called.
    """
    arguments = _parser(kind, description, prog).parse_args(argv)

    def work() -> None:
        _check_output(kind, arguments.output)
        _check_scale(arguments.mean, arguments.std)
        # TensorFlow takes seconds to load, which a mistake in the options need not wait for.
        from keras_gssl.export.exporting import export

        export(kind, arguments)

    return as_command(work)


def main_of_any_kind(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.export") -> int:
    """`KIND RUN_OR_MODEL -o FILE ...`: the kind of file comes first, then what `main` takes."""
    lines = "\n".join(f"  {kind:<12} {what}" for kind, what in KINDS.items())
    parser = Parser(
        prog=prog,
        description=f"Export the classifier of a run, or of a saved model, checked against Keras before it is kept.\n\n"
        f"kinds:\n{lines}\n\n`{prog} KIND --help` shows what each takes.",
    )
    parser.add_argument("kind", choices=tuple(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="RUN_OR_MODEL -o FILE ...", help="see KIND --help")
    given = parser.parse_args(argv)
    description = f"Export the classifier of a run, or of a saved model, as {KINDS[given.kind]}."
    return main(given.kind.replace("-", "_"), description, given.rest, f"{prog} {given.kind}")


def _check_output(kind: str, path: Path) -> None:
    """Before minutes of work: what the name must be for others to know the file by."""
    suffix = SUFFIXES.get(kind)
    if suffix and path.suffix != suffix:
        raise UserError(f"-o expects the name of a {suffix} file, received {path}.")
    if suffix and path.is_dir():
        raise UserError(f"-o expects the name of a file, received the folder {path}.")


def _check_scale(mean: list[float] | None, std: list[float] | None) -> None:
    if (mean is None) != (std is None):
        raise UserError("Give both --mean and --std, or neither.")
    if std is not None and min(std) <= 0:
        raise UserError(f"--std must be above 0, received {min(std):g}.")


def _prior(text: str) -> str | list[float]:
    """`uniform`, `training`, or numbers with commas between."""
    if text in PRIORS:
        return text
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected {', '.join(PRIORS)} or a number for each class with commas between, received {text!r}"
        ) from None


def _parser(kind: str, description: str, prog: str | None) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description=description)
    parser.add_argument("source", metavar="RUN_OR_MODEL", help="a run folder, or a .keras file")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="what to write")
    parser.add_argument("--input", choices=INPUT_TYPES, default="uint8", help="type of the pixels (default: uint8)")
    parser.add_argument("--probabilities", action="store_true", help="give probabilities instead of logits")
    parser.add_argument(
        "--calibrated",
        action="store_true",
        help="divide logits by the temperature that the validation pictures ask for",
    )
    parser.add_argument(
        "--prior",
        type=_prior,
        metavar="MIX",
        help="the class mix expected in use: uniform, training, or a,b,c (default: the one that training made)",
    )
    parser.add_argument(
        "--towards-rare",
        type=float,
        default=0.0,
        metavar="STRENGTH",
        help="name rare classes more often, about 0.1 to 0.3; the run's report shows what that does (default: 0)",
    )
    if kind != "saved_model":
        parser.add_argument(
            "--int8", action="store_true", help="compute in int8: smaller and faster, calibrated on training images"
        )
    parser.add_argument(
        "--max-drop",
        type=float,
        default=1.0,
        metavar="POINTS",
        help="by how much the accuracy on the test images may fall; beyond that no file is kept (default: 1)",
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", help="where the run's data set is now, if not where it was or TFDS_DATA_DIR says"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="test and calibrate with these pictures, one sub-folder per class, instead of the run's data",
    )
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
