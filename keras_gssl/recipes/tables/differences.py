"""How much better each row of a table is than the one that it is held against: paired over seeds, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keras_gssl.recipes.paired import Difference, paired_difference
from keras_gssl.recipes.tables.ledger import Result
from keras_gssl.runs.result import Scores

#: What is compared: title and figure of a run's last epoch; a class size that there is none of has no figure.
FIGURES: dict[str, Callable[[Scores], float | None]] = {
    "all classes": lambda scores: scores.accuracy,
    "rare classes": lambda scores: scores.few,
}
NOTE = (
    "Points of accuracy after the last epoch above *{against}*, over the seeds that both were run with, and the 95 % "
    "interval of a paired t-test, each for itself."
)


def differences(results: dict[str, Sequence[Result]], against: str) -> str:
    """A Markdown table of every row that shares two seeds or more with `against`; empty if none does.

    Args:
        results: Of each row the runs that count, one for each seed.
        against: The row that the others are compared with.
    """
    lines = []
    for row, runs in results.items():
        both = sorted({run.seed for run in runs} & {run.seed for run in results[against]})
        if row == against or len(both) < 2:
            continue
        cells = [_cell(runs, results[against], both, figure) for figure in FIGURES.values()]
        lines.append(f"| {row} | {' | '.join(cells)} | {len(both)} |")
    if not lines:
        return ""
    header = f"| method | {' | '.join(FIGURES)} | seeds |\n|---|{'---|' * len(FIGURES)}---|"
    return "\n".join([NOTE.format(against=against), "", header, *lines, ""])


def _cell(
    runs: Sequence[Result], others: Sequence[Result], seeds: Sequence[int], figure: Callable[[Scores], float | None]
) -> str:
    one, other = ({run.seed: figure(run.content.last_epoch) for run in of} for of in (runs, others))
    pairs = [(a, b) for a, b in ((one[seed], other[seed]) for seed in seeds) if a is not None and b is not None]
    return _shown(paired_difference([a for a, _ in pairs], [b for _, b in pairs])) if len(pairs) > 1 else ""


def _shown(difference: Difference) -> str:
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
