"""What a trained classifier looks at: Grad-CAM, Grad-CAM++, Score-CAM and saliency, and a map of its test features.

    python -m keras_gssl.explain runs/cifar10_lt photo.jpg another.png      # pictures of your own
    python -m keras_gssl.explain runs/cifar10_lt sample:0 sample:1          # test images that are kept with the run
    python -m keras_gssl.explain runs/cifar10_lt --embeddings               # t-SNE of the test features

The true class is taken from the name of the folder that a picture lies in, if that is the name of a class.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_gssl.arguments import Parser
from keras_gssl.choices import EXPLANATIONS
from keras_gssl.errors import UserError, as_command
from keras_gssl.runs.folder import RunFolder


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.explain") -> int:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("run", metavar="RUN", type=Path, help="a finished run's folder")
    parser.add_argument("images", metavar="IMAGE", nargs="*", help="picture files, or sample:N")
    parser.add_argument("--embeddings", action="store_true", help="draw a t-SNE map of the test features")
    parser.add_argument(
        "--methods",
        type=_methods,
        default=EXPLANATIONS,
        metavar="A,B",
        help=f"some of {', '.join(EXPLANATIONS)} (default: all)",
    )
    parser.add_argument("-o", "--output", type=Path, help="folder for the pictures (default: RUN/explanations)")
    arguments = parser.parse_intermixed_args(argv)
    return as_command(lambda: explain(arguments))


def _methods(text: str) -> list[str]:
    methods = text.split(",")
    if not set(methods) <= set(EXPLANATIONS):
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(EXPLANATIONS)}, received {text!r}")
    return methods


def explain(arguments: argparse.Namespace) -> None:
    """Draw what the command line asks for, and say where it is."""
    if not arguments.images and not arguments.embeddings:
        raise UserError("Name pictures to explain (files, or sample:0), or give --embeddings.")
    # TensorFlow takes seconds to load, which a mistake in the options need not wait for.
    from keras_gssl.export.deployable import load_deployable
    from keras_gssl.report.explanations import draw_embeddings, draw_explanation, find_image, heat_maps

    model, folder = load_deployable(arguments.run), RunFolder(arguments.run)
    if not folder.data.exists():
        raise UserError(f"{arguments.run} is not the folder of a run: it has no data.json.")
    output = arguments.output or arguments.run / "explanations"
    output.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    for name in arguments.images:
        image, true, stem = find_image(model, folder, name)
        predicted = model.class_names[int(model.logits(image[np.newaxis]).argmax())]
        maps = heat_maps(model, image, arguments.methods)
        path = draw_explanation(image, maps, predicted, true, _free_name(output, stem, written))
        print(f"{name}: predicted {predicted}" + (f", true {true}" if true else "") + f"  -> {path}")
    if arguments.embeddings:
        print(f"t-SNE of the test features  -> {draw_embeddings(folder, output / 'embeddings.png')}")


def _free_name(folder: Path, stem: str, written: set[Path]) -> Path:
    """Two pictures of one name, from different folders, are both drawn; and never over a picture that is explained."""
    path, number = folder / f"{stem}-explained.png", 1
    while path in written:
        number += 1
        path = folder / f"{stem}-explained-{number}.png"
    written.add(path)
    return path


if __name__ == "__main__":
    sys.exit(main())
