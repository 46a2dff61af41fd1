"""Where the runs of a table are trained: here, one after the other or some at once, or on a Ray cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_gssl.errors import UserError
from keras_gssl.recipes.tables.cluster import run_on_ray
from keras_gssl.recipes.tables.grid import Run
from keras_gssl.recipes.tables.outcome import Outcome
from keras_gssl.recipes.tables.runner import run_here


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="runs at once on this machine, each on its share of cores and memory (default: 1)",
    )  # fmt: skip
    parser.add_argument("--ray", metavar="ADDRESS", help="spread the runs over a Ray cluster: its address, or auto")
    parser.add_argument("--cpus-per-run", type=float, default=1.0, help="CPU cores of a run on Ray (default: 1)")
    parser.add_argument("--gpus-per-run", type=float, default=0.0, help="share of a GPU of a run on Ray (default: 0)")


def check_options(arguments: argparse.Namespace) -> None:
    """Before anything is made."""
    if arguments.jobs < 1:
        raise UserError(f"--jobs must be at least 1, received {arguments.jobs}.")
    if arguments.ray and arguments.jobs > 1:
        raise UserError(
            f"--jobs {arguments.jobs} is for runs on this machine; with --ray, --cpus-per-run and --gpus-per-run say "
            f"how many go on at once."
        )


def run_all(runs: Sequence[Run], folders: Path, arguments: argparse.Namespace) -> Iterator[Outcome]:
    """How each run ended, as soon as it has."""
    if arguments.ray:
        return run_on_ray(runs, folders, arguments.ray, arguments.cpus_per_run, arguments.gpus_per_run)
    return run_here(runs, folders, arguments.jobs)
