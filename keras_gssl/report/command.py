"""Make the report of a run again, or compare several runs on one page.

python -m keras_gssl.report runs/cifar10_lt                        # runs/cifar10_lt/report.html
python -m keras_gssl.report runs/cifar10_lt runs/cifar10_lt-2 -o comparison.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_gssl.arguments import Parser
from keras_gssl.errors import as_command
from keras_gssl.report.comparison import write_comparison
from keras_gssl.report.model_card import write_model_card


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.report") -> int:
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folders of finished runs")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("comparison.html"), help="page that compares several runs"
    )
    arguments = parser.parse_args(argv)

    def work() -> None:
        if len(arguments.runs) > 1:
            print(write_comparison(arguments.runs, arguments.output))
        else:
            # TensorFlow takes seconds to load, which nothing else here needs.
            from keras_gssl.report.run_report import write_report

            print(write_report(arguments.runs[0]))
            print(write_model_card(arguments.runs[0]))

    return as_command(work)
