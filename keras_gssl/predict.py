"""Classify pictures with an exported file, one line each: .onnx, .tflite, SavedModel, .keras or a run folder.

    python -m keras_gssl.predict classifier.onnx photo.jpg another.png
    python -m keras_gssl.predict classifier.onnx photo.jpg --precision 0.95     # or "unsure"

With an ONNX file neither TensorFlow nor Keras is imported; onnxruntime, NumPy and Pillow are enough.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from keras_gssl.arguments import Parser
from keras_gssl.data.pictures.decode import PictureError, read_picture
from keras_gssl.errors import UserError, as_command, complain, one_line
from keras_gssl.export.opened import Exported, open_exported
from keras_gssl.probabilities import threshold_for


def classify(model: Exported, path: str, top: int = 3) -> list[tuple[str, float]]:
    """The likeliest classes of a picture file and their probabilities, the likeliest first.

    Raises:
        UserError: The picture cannot be read.
    """
    try:
        image = read_picture(path, model.side, model.fit, model.depth_range)
    except PictureError as error:
        raise UserError(f"Cannot read the picture {path}: {error}.") from error
    probabilities = model.probabilities(image)
    names = model.class_names or [f"class {index}" for index in range(len(probabilities))]
    return [(names[index], float(probabilities[index])) for index in (-probabilities).argsort(kind="stable")[:top]]


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.predict") -> int:
    """Returns the exit code: 2 if the model or one of the pictures cannot be read; the others are classified."""
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("model", metavar="MODEL", help="an exported file, or a run folder")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture files")
    parser.add_argument("--top", type=int, default=3, help="how many classes are shown (default: 3)")
    unsure = parser.add_mutually_exclusive_group()
    unsure.add_argument(
        "--precision",
        type=float,
        metavar="SHARE",
        help="name a class only where, on the validation pictures, this share of the answers was right (0.5 to 0.99)",
    )
    unsure.add_argument("--min-probability", type=float, metavar="P", help="name a class only from this probability on")
    arguments = parser.parse_args(argv)
    return as_command(
        lambda: _classify_all(
            arguments.model, arguments.images, max(1, arguments.top), arguments.precision, arguments.min_probability
        )
    )


def _least_probability(exported: Exported, model: str, precision: float | None, least: float | None) -> float:
    if least is not None and not 0 <= least <= 1:
        raise UserError(f"--min-probability must be between 0 and 1, received {least:g}.")
    if precision is None:
        return least or 0.0
    if not exported.thresholds:
        raise UserError(
            f"{model} does not know from which probability on it is right so often: train with validation pictures and "
            f"export the run again, or give --min-probability."
        )
    return threshold_for(exported.thresholds, precision)


def _classify_all(model: str, paths: Sequence[str], top: int, precision: float | None, least: float | None) -> int:
    exported, code = open_exported(model), 0
    least = _least_probability(exported, model, precision, least)
    for path in paths:
        try:
            (best, probability), *others = classify(exported, path, top)
        except UserError as error:
            code = complain(error)
            continue
        rest = ", ".join(f"{name} {100 * each:.1f} %" for name, each in others)
        if probability < least:
            unsure = f"{path}: unsure, below {100 * least:.1f} %  ({best} {100 * probability:.1f} %)"
            print(one_line(unsure), flush=True)
            continue
        print(one_line(f"{path}: {best} {100 * probability:.1f} %" + (f"  ({rest})" if rest else "")), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
