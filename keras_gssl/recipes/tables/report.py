"""A table of the paper's figures beside ours, as Markdown and as a picture."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path

from keras_gssl.recipes.catalogue import RECIPES
from keras_gssl.recipes.tables.differences import differences
from keras_gssl.recipes.tables.grid import Run, Table
from keras_gssl.recipes.tables.ledger import Ledger, Result
from keras_gssl.runs.result import Scores

HEADER = "| method | paper, best epoch | ours, best epoch | ours, last epoch | seeds |\n|---|---|---|---|---|"
OURS_ALONE = "| method | best epoch | last epoch | seeds |\n|---|---|---|---|"
OF_PAPER = (
    "Top-1 test accuracy in percent; ours as mean and (standard deviation over seeds). The best epoch is chosen on the "
    "test set, as in the paper, and so optimistic; the paper's figures are single runs."
)
OF_OURS = (
    "Top-1 test accuracy in percent, mean and (standard deviation over seeds). The best epoch is chosen on the test "
    "set, and so optimistic."
)
INK, OURS, BEST, PAPER, GRID = "#24292f", "#0072b2", "#56b4e9", "#d55e00", "#d0d7de"


@dataclasses.dataclass(frozen=True)
class Summary:
    """Accuracies of one cell over seeds, in percent."""

    seeds: int
    last: tuple[float, float | None]
    best: tuple[float, float | None]


def summarise(results: Sequence[Result]) -> Summary | None:
    """Mean and standard deviation (none for a single run); None without results."""
    if not results:
        return None

    def mean_and_deviation(scores: Sequence[Scores]) -> tuple[float, float | None]:
        values = [100 * each.accuracy for each in scores]
        return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None

    return Summary(
        len(results),
        mean_and_deviation([each.content.last_epoch for each in results]),
        mean_and_deviation([each.content.best_epoch for each in results]),
    )


def full_runs(table: Table, ledger: Ledger) -> dict[tuple[str, str], list[Result]]:
    """For each cell, the full-length runs of its experiment."""
    return {
        place: [each for each in ledger.of(cell.runs[0]) if _of_full_length(table, cell.runs[0], each)]
        for place, cell in table.cells.items()
    }


def _of_full_length(table: Table, run: Run, result: Result) -> bool:
    if not table.has_paper:  # there is nothing to compare with but what the table itself says
        return result.epochs == run.settings.epochs
    return _is_full(result) and result.epochs == max(run.settings.epochs, run.settings.planned_epochs)


def _is_short(table: Table, run: Run, result: Result) -> bool:
    return not _is_full(result) if table.has_paper else result.epochs < run.settings.epochs


def _is_full(result: Result) -> bool:
    """Whether a run was as long as its recipe says; of the paper's recipe the result tells it."""
    recipe = result.content.settings.get("recipe", "paper")
    if recipe == "paper":
        return result.content.full_length
    return result.epochs >= RECIPES[str(result.content.recipe)].settings(recipe=recipe).planned_epochs


def short_runs(table: Table, ledger: Ledger) -> dict[int, dict[tuple[str, str], Summary]]:
    """The same for runs shorter than the recipe or the table says, by their number of epochs; those that a row of the
    table asks for stand there."""
    shown = {result.path for results in full_runs(table, ledger).values() for result in results}
    found: dict[int, dict[tuple[str, str], Summary]] = {}
    for place, cell in table.cells.items():
        run = cell.runs[0]
        results = [result for result in ledger.of(run) if result.path not in shown and _is_short(table, run, result)]
        for epochs in sorted({result.epochs for result in results}):
            summary = summarise([result for result in results if result.epochs == epochs])
            assert summary is not None
            found.setdefault(epochs, {})[place] = summary
    return dict(sorted(found.items()))


def markdown(table: Table, ledger: Ledger, only_with_results: bool = False) -> str:
    """The whole report. `only_with_results` leaves out data sets on which nothing was run, and names them."""
    note = OF_PAPER if table.has_paper else OF_OURS
    results = full_runs(table, ledger)
    full = {place: summarise(runs) for place, runs in results.items()}
    lines, left_out = [f"**{table.title}.** {note}", ""], []
    for column in table.columns:
        if only_with_results and not any(full[row, column] for row in table.rows):
            left_out.append(column)
            continue
        lines += [f"*{column}*", "", HEADER if table.has_paper else OURS_ALONE]
        for row in table.rows:
            paper, ours = table.cells[row, column].paper, full[row, column]
            cells = [
                "" if paper is None else f"{paper:.2f}",
                "" if ours is None else _shown(ours.best),
                "" if ours is None else _shown(ours.last),
                "" if ours is None else str(ours.seeds),
            ]
            lines.append(f"| {row} | " + " | ".join(cells if table.has_paper else cells[1:]) + " |")
        lines.append("")
        if table.against is not None:
            lines.append(differences({row: results[row, column] for row in table.rows}, table.against))
    if left_out:
        lines += [f"No full-length run of ours yet: {', '.join(left_out)}.", ""]
    for epochs, cells_of in short_runs(table, ledger).items():
        others = "the paper" if table.has_paper else "those above"
        lines += [
            f"*Short runs of {epochs} epochs*, not comparable with {others}: they show that the methods train.",
            "",
            "| data set | method | best epoch | last epoch | seeds |\n|---|---|---|---|---|",
        ]
        for (row, column), summary in cells_of.items():
            lines.append(f"| {column} | {row} | {_shown(summary.best)} | {_shown(summary.last)} | {summary.seeds} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _shown(value: tuple[float, float | None]) -> str:
    mean, deviation = value
    return f"{mean:.2f}" if deviation is None else f"{mean:.2f} ({deviation:.2f})"


def picture(table: Table, ledger: Ledger, path: Path) -> Path:
    """One panel per data set: the paper's figure, our best and our last epoch for each method."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    full = {place: summarise(runs) for place, runs in full_runs(table, ledger).items()}
    across = min(3, len(table.columns))
    down = -(-len(table.columns) // across)
    size = (3.2 * across + 2.2, (0.34 * len(table.rows) + 1.0) * down + 0.9)
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.12)
    figure = Figure(figsize=size, layout=layout)
    axes = figure.subplots(down, across, sharey=True, squeeze=False)
    for panel, column in zip(axes.flat, table.columns, strict=False):
        for height, row in enumerate(table.rows):
            paper, ours = table.cells[row, column].paper, full[row, column]
            if paper is not None:
                panel.plot(paper, height, "D", color="none", markeredgecolor=PAPER, markeredgewidth=1.6, markersize=7)
            if ours is not None:
                panel.plot(ours.best[0], height, "^", color=BEST, markersize=7)
                panel.errorbar(
                    ours.last[0], height, xerr=ours.last[1] or 0, fmt="o", color=OURS, capsize=3, markersize=6
                )
        panel.set_title(column, fontsize=10, color=INK)
        panel.set_yticks(range(len(table.rows)), table.rows)
        panel.set_ylim(len(table.rows) - 0.5, -0.5)
        panel.grid(color=GRID, linewidth=0.8)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.margins(x=0.12)
        panel.tick_params(colors=INK, labelsize=9, length=0)
        panel.spines[:].set_visible(False)
    for panel in list(axes.flat)[len(table.columns) :]:
        panel.set_visible(False)
    figure.suptitle(f"{table.title}: top-1 test accuracy in percent", fontsize=11, color=INK)
    marks = [
        Line2D([], [], marker="D", color="none", markeredgecolor=PAPER, markeredgewidth=1.6, label="paper, best epoch"),
        Line2D([], [], marker="^", color="none", markerfacecolor=BEST, markeredgecolor=BEST, label="ours, best epoch"),
        Line2D([], [], marker="o", color="none", markerfacecolor=OURS, markeredgecolor=OURS, label="ours, last epoch"),
    ]
    marks = marks if table.has_paper else marks[1:]
    figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path
