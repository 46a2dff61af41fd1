"""Make the report of a run again, or compare several runs on one page.

python -m keras_gssl.report runs/cifar10_lt                        # runs/cifar10_lt/report.html
python -m keras_gssl.report runs/cifar10_lt runs/cifar10_lt-2 -o comparison.html
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_gssl.errors import as_command
from keras_gssl.report import write_comparison, write_model_card, write_report


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m keras_gssl.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("comparison.html"), help="page that compares several runs"
    )
    arguments = parser.parse_args(argv)

    def work() -> None:
        if len(arguments.runs) > 1:
            print(write_comparison(arguments.runs, arguments.output))
        else:
            print(write_report(arguments.runs[0]))
            print(write_model_card(arguments.runs[0]))

    return as_command(work)


if __name__ == "__main__":
    sys.exit(main())
