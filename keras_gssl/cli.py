"""The command `keras-gssl`: one door to what the modules do as `python -m keras_gssl...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from keras_gssl.arguments import Parser
from keras_gssl.version import __version__

Arguments = Sequence[str]


def main(argv: Arguments | None = None, prog: str = "keras-gssl") -> int:
    """Run the command that the first word names. Returns the exit code."""
    lines = "\n".join(f"  {name:<12} {(command.__doc__ or '').strip()}" for name, command in COMMANDS.items())
    parser = Parser(
        prog=prog,
        description=f"Better accuracy on rare classes without more labels.\n\ncommands:\n{lines}\n\n"
        f"`{prog} COMMAND --help` shows what each takes.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("command", choices=tuple(COMMANDS), metavar="COMMAND", help="one of those above")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="see COMMAND --help")
    given = parser.parse_args(argv)
    return COMMANDS[given.command](given.arguments, f"{prog} {given.command}")


# Each imports its module when it is called: `predict` on an ONNX file and `--help` need no TensorFlow.


def quickstart(argv: Arguments, prog: str) -> int:
    """the whole way in a few minutes, without any download"""
    from keras_gssl.recipes import quickstart
    from keras_gssl.recipes.command_line import run_as_command

    return run_as_command(quickstart.main, argv)


def train(argv: Arguments, prog: str) -> int:
    """train on your pictures or on a data set: a recipe and its options"""
    from keras_gssl.recipes.catalogue import RECIPES, summary
    from keras_gssl.recipes.command_line import run_as_command

    lines = "\n".join(f"  {name:<14} {summary(name)}" for name in RECIPES)
    parser = Parser(
        prog=prog,
        description=f"Train, evaluate and report.\n\nrecipes:\n{lines}\n\n`{prog} RECIPE --help` shows the options.",
    )
    parser.add_argument("recipe", choices=tuple(RECIPES), metavar="RECIPE", help="one of those above")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="see RECIPE --help")
    if argv and argv[0] not in RECIPES and os.path.exists(argv[0]):  # Path.exists fails on names that are too long
        parser.error(f"{argv[0]} is no recipe; did you mean `{prog} image_folder {argv[0]}`?")
    given = parser.parse_args(argv)
    return run_as_command(RECIPES[given.recipe].main, given.arguments)


def tables(argv: Arguments, prog: str) -> int:
    """run what a table of experiments lacks, and print it"""
    from keras_gssl.recipes.command_line import run_as_command
    from keras_gssl.recipes.tables import command

    return run_as_command(lambda given: command.main(given, prog), argv)


def compare(argv: Arguments, prog: str) -> int:
    """does it help on my data? methods times seeds, and what their differences are worth"""
    from keras_gssl.recipes.command_line import run_as_command
    from keras_gssl.recipes.compare import command

    return run_as_command(lambda given: command.main(given, prog), argv)


def watch(argv: Arguments, prog: str) -> int:
    """a page that shows a run while it trains"""
    from keras_gssl.watch import main

    return main(argv, prog)


def report(argv: Arguments, prog: str) -> int:
    """make the report of a run again, or compare several runs"""
    from keras_gssl.report.command import main

    return main(argv, prog)


def audit(argv: Arguments, prog: str) -> int:
    """find pictures with wrong labels, outliers and near-duplicates, from predictions of pictures not trained on"""
    from keras_gssl.audit.command import main

    return main(argv, prog)


def explain(argv: Arguments, prog: str) -> int:
    """show what a classifier looks at"""
    from keras_gssl.explain import main

    return main(argv, prog)


def export(argv: Arguments, prog: str) -> int:
    """onnx, saved-model or litert: a checked file of the classifier alone"""
    from keras_gssl.export.command import main_of_any_kind

    return main_of_any_kind(argv, prog)


def predict(argv: Arguments, prog: str) -> int:
    """classify pictures with an exported file"""
    from keras_gssl.predict import main

    return main(argv, prog)


COMMANDS: dict[str, Callable[[Arguments, str], int]] = {
    command.__name__: command
    for command in (quickstart, train, compare, tables, watch, report, audit, explain, export, predict)
}

if __name__ == "__main__":
    sys.exit(main())
