"""Does it help on my data? Train several methods on it, with several seeds, and say what can be said of the difference.

    python -m keras_gssl.recipes.compare photos
    python -m keras_gssl.recipes.compare photos --folds 5                       # every picture is tested once
    python -m keras_gssl.recipes.compare photos --methods ce ldam-drw --seeds 0 1 2 3 --set epochs=50 backbone=resnet14
    python -m keras_gssl.recipes.compare photos --methods balanced balanced:margin=0.2    # the same, but for a setting
    python -m keras_gssl.recipes.compare photos --jobs 2                        # two runs at once, half the cores each
    python -m keras_gssl.recipes.compare cifar10_lt --ray auto --gpus-per-run 0.25
    python -m keras_gssl.recipes.compare photos --report                        # runs nothing, makes the page again

What was cut off goes on where it was with the same call. The page is in the folder that the last line names.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from keras_gssl.arguments import Parser
from keras_gssl.errors import UserError
from keras_gssl.files import write_json
from keras_gssl.recipes.compare.page import summary, write_page
from keras_gssl.recipes.compare.plan import METHODS, Plan, make_plan, read_method, usual_methods
from keras_gssl.recipes.tables.command import assignment
from keras_gssl.recipes.tables.grid import slug
from keras_gssl.recipes.tables.outcome import Outcome, log_file
from keras_gssl.recipes.tables.spread import add_options, check_options, run_all
from keras_gssl.runs.durations import duration
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS as KNOWN

FIGURES = ("balanced_accuracy", "accuracy", "few")


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.recipes.compare") -> int:
    arguments = _parser(prog).parse_args(argv)
    check_options(arguments)
    settings = dict(assignment(text) for text in arguments.set)
    if arguments.quick:
        settings["quick"] = True
    seeds = arguments.seeds or ((0,) if arguments.folds else (0, 1, 2))
    methods = arguments.methods or usual_methods(settings)
    plan = make_plan(arguments.source, methods, seeds, arguments.folds, settings)
    folder = arguments.output or Path("compare") / (slug(plan.name) + ("-quick" if arguments.quick else ""))
    if arguments.report and not arguments.methods:  # an earlier version compared fewer
        plan = plan.measured(folder / "runs")
    failed = [] if arguments.report else _run(plan, folder, arguments)
    results = plan.results(folder / "runs")
    if any(results.values()):
        page = write_page(plan, results, folder, arguments.by)
        told = summary(plan, results, arguments.by)
        write_json(folder / "comparison.json", told)
        print(f"\n{told['text']}\nPage: {page}")
    elif not failed:
        raise UserError(f"{folder} holds no finished runs of this comparison: leave --report out to run them.")
    for outcome in failed:
        print(f"failed: {outcome.run.title}: {outcome.failure} (log: {log_file(outcome.folder)})", file=sys.stderr)
    return 1 if failed else 0


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("source", metavar="DIR", help="a folder or list of pictures, or a recipe such as cifar10_lt")
    parser.add_argument(
        "--methods", nargs="+", type=_method, default=(), metavar="METHOD",
        help="what is compared, the plainest first, each perhaps with settings of its own, METHOD:KEY=VALUE "
        f"(default: {' '.join(METHODS)})",
    )  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=(), metavar="SEED", help="default: 0 1 2; of folds 0")
    parser.add_argument("--folds", type=int, default=0, metavar="K", help="test every picture once, in K runs")
    parser.add_argument("--set", nargs="+", default=(), metavar="KEY=VALUE", help="settings of all runs")
    parser.add_argument("--by", choices=FIGURES, default=FIGURES[0], help=f"what decides (default: {FIGURES[0]})")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="default: compare/NAME")
    parser.add_argument("--quick", action="store_true", help="trials of seconds, which say nothing of the methods")
    parser.add_argument("--report", action="store_true", help="run nothing; make the page from the runs that are there")
    add_options(parser)
    return parser


def _method(text: str) -> str:
    """The text itself, where it names a method."""
    name = text.partition(":")[0]
    if name not in KNOWN:  # in argparse's words, so that it says what may have been meant
        raise argparse.ArgumentTypeError(f"invalid choice: {name!r} (choose from {', '.join(KNOWN)})")
    try:
        read_method(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
    return text


def _run(plan: Plan, folder: Path, arguments: argparse.Namespace) -> list[Outcome]:
    """Run what is missing; returns what failed."""
    runs, folders = plan.in_order, folder / "runs"
    missing = {run for run in runs if not RunFolder(folders / run.name).metrics.exists()}
    there = f", {len(runs) - len(missing)} of them there already" if len(missing) < len(runs) else ""
    told = " The time that is left is told after the first." if len(missing) > 1 else ""
    print(f"{plan.name}: {len(plan.methods)} methods, {len(runs)} runs in {folders}{there}.{told}", flush=True)
    failed, begin, trained = [], time.monotonic(), 0
    for number, outcome in enumerate(run_all(runs, folders, arguments), start=1):
        trained += outcome.run in missing
        ahead = len(missing) - trained
        if outcome.result is None:
            failed.append(outcome)
            print(f"   {number}/{len(runs)} {outcome.run.title}: failed", flush=True)
            continue
        last = outcome.result.last_epoch
        seconds = time_left(time.monotonic() - begin, trained, ahead, arguments.jobs) if trained else 0
        left = f", about {duration(seconds)} left" if seconds else ""
        print(
            f"   {number}/{len(runs)} {outcome.run.title}: accuracy "
            f"{100 * last.accuracy:.2f} %, balanced {100 * (last.balanced_accuracy or 0):.2f} %{left}",
            flush=True,
        )
    return failed


def time_left(seconds: float, trained: int, ahead: int, jobs: int) -> float:
    """Seconds until all runs are there, where `trained` of them took `seconds` and as many as `jobs` go on at once.

    >>> from keras_gssl.recipes.compare.command import time_left
    >>> time_left(60, trained=1, ahead=5, jobs=1), time_left(60, trained=1, ahead=5, jobs=2)
    (300.0, 120.0)
    """
    done, all_of_them = (-(-count // jobs) for count in (trained, trained + ahead))
    return seconds / done * (all_of_them - done)
