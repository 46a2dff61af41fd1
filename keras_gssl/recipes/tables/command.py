"""Run what a table of the paper still lacks, and print it: the paper's figures beside ours.

    python -m keras_gssl.recipes.tables recipes/table1.toml                          # one run after the other
    python -m keras_gssl.recipes.tables recipes/table1.toml --jobs 2                 # two at once, half the cores each
    python -m keras_gssl.recipes.tables recipes/table1.toml --ray auto --gpus-per-run 0.25
    python -m keras_gssl.recipes.tables recipes/table1.toml --rows LDAM-DRW --seeds 0 1 --set epochs=20
    python -m keras_gssl.recipes.tables recipes/table1.toml --report                 # run nothing, print the table

A run that was killed is resumed, by the next call or at once; one that fails does not stop the others and is named at
the end. Each finished run adds a file to the results folder, and is not run again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_gssl.arguments import Parser
from keras_gssl.errors import UserError
from keras_gssl.files import write_text
from keras_gssl.recipes.command_line import read_value
from keras_gssl.recipes.tables.grid import Run, Table, read_table, select, slug
from keras_gssl.recipes.tables.ledger import Ledger
from keras_gssl.recipes.tables.outcome import Outcome, log_file
from keras_gssl.recipes.tables.report import markdown, picture
from keras_gssl.recipes.tables.spread import add_options, check_options, run_all


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.recipes.tables") -> int:
    arguments = _parser(prog).parse_args(argv)
    check_options(arguments)
    overrides = dict(assignment(text) for text in arguments.set)
    if arguments.quick:
        overrides["quick"] = True
    table = select(read_table(arguments.table, overrides, arguments.seeds), arguments.rows, arguments.columns)
    ledger = Ledger(arguments.results)
    failed: list[Outcome] = []
    if not arguments.report:
        failed = _run_what_is_missing(table, ledger, arguments)
    if not arguments.quick:
        _report(table, ledger, arguments)
    for outcome in failed:
        print(f"failed: {outcome.run.name}: {outcome.failure} (log: {log_file(outcome.folder)})", file=sys.stderr)
    return 1 if failed else 0


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog=prog,
        description=__doc__,
    )
    parser.add_argument("table", metavar="FILE", help="TOML file of the table, such as recipes/table1.toml")
    parser.add_argument("--rows", nargs="+", default=(), metavar="ROW", help="only these rows")
    parser.add_argument("--columns", nargs="+", default=(), metavar="COLUMN", help="only these columns")
    parser.add_argument("--seeds", nargs="+", type=int, default=(), metavar="SEED", help="instead of the file's seeds")
    parser.add_argument(
        "--set", nargs="+", default=(), metavar="KEY=VALUE", help="settings of all runs, instead of the file's"
    )
    parser.add_argument("--quick", action="store_true", help="trials of seconds; they do not enter the results")
    parser.add_argument("--report", action="store_true", help="run nothing; print the table and draw it")
    add_options(parser)
    parser.add_argument("--runs-dir", type=Path, default=None, help="where runs are kept (default: runs/TABLE)")
    parser.add_argument(
        "--results", type=Path, default=Path("recipes/results"), help="folder of results (default: recipes/results)"
    )
    parser.add_argument("--picture", type=Path, default=None, help="file of the picture (default: RUNS_DIR/TABLE.png)")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="also put the table between the marks in this page")
    return parser


def assignment(text: str) -> tuple[str, Any]:
    """A setting and its value, as `--set` takes them."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set expects KEY=VALUE, received {text!r}.")
    return key, read_value(value)


def _runs_dir(arguments: argparse.Namespace) -> Path:
    return arguments.runs_dir or Path("runs") / (Path(arguments.table).stem + ("-quick" if arguments.quick else ""))


def _run_what_is_missing(table: Table, ledger: Ledger, arguments: argparse.Namespace) -> list[Outcome]:
    unique: dict[str, Run] = {run.name: run for run in table.runs}
    if len(unique) < len(set(table.runs)):
        raise RuntimeError("Two runs of different settings share a name.")  # a defect of Run.name, not of the table
    missing = [run for run in unique.values() if arguments.quick or ledger.find(run) is None]
    print(
        f"{table.title}: {len(unique)} runs, {len(unique) - len(missing)} already in {arguments.results}.", flush=True
    )
    folders = _runs_dir(arguments)
    failed = []
    for outcome in run_all(missing, folders, arguments):
        if outcome.result is None:
            failed.append(outcome)
            print(f"   failed: {outcome.run.name}", flush=True)
            continue
        accuracy = f"last epoch {100 * outcome.result.last_epoch.accuracy:.2f} %"
        kept = "" if arguments.quick else f"  -> {ledger.add(outcome.run, outcome.result)}"
        print(f"   done: {outcome.run.name}  {accuracy}{kept}", flush=True)
    print(f"{len(missing) - len(failed)} done, {len(failed)} failed.")
    return failed


def _report(table: Table, ledger: Ledger, arguments: argparse.Namespace) -> None:
    print()
    print(markdown(table, ledger))
    name = slug(Path(arguments.table).stem)
    print(f"Picture: {picture(table, ledger, arguments.picture or _runs_dir(arguments) / f'{name}.png')}")
    if arguments.into:
        write_between_marks(arguments.into, markdown(table, ledger, only_with_results=True), marks_of(name))
        print(f"Written into {arguments.into}")


def marks_of(name: str) -> tuple[str, str]:
    """The lines between which a table stands in a page."""
    return f"<!-- results of {name}: made by `make tables` -->", f"<!-- end of results of {name} -->"


def write_between_marks(path: Path, text: str, marks: tuple[str, str]) -> None:
    """Replace what is between two marks in a file."""
    first, last = marks
    content = path.read_text(encoding="utf-8")
    if any(content.count(mark) != 1 for mark in marks):
        raise UserError(f"{path} must hold the lines {first!r} and {last!r} once each.")
    before, _, rest = content.partition(first)
    _, _, after = rest.partition(last)
    write_text(path, f"{before}{first}\n{text}{last}{after}")
