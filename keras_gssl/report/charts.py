"""Charts as SVG whose colours follow the page: they look right in light and dark.

Matplotlib draws with stand-in colours, which the page's style sheet then defines. Series differ in dashes and marks as
well as in colour, and the colours (Okabe and Ito's) can be told apart by colour-blind people.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

INK, FAINT = "#010101", "#020202"
SERIES = tuple(f"#0{number}0303" for number in range(1, 7))
STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKS = ("o", "s", "^", "D", "v", "P")
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)", **{c: f"var(--c{i})" for i, c in enumerate(SERIES, start=1)}}
MAX_NAMED = 30  # classes whose names fit on an axis
MAX_WRITTEN = 12  # classes whose confusions fit into the cells as figures
SHORT_NAME = 14  # letters of which three names stand side by side above a chart
BINS = 10
Chart = Callable[[Any], None]


def svg(name: str, draw: Chart, size: tuple[float, float] = (5.2, 3.3)) -> str:
    """Draw on Matplotlib axes and give the SVG text, to be put into a page.

    Args:
        name: Of the chart; also read out for people who do not see it.
        draw: Called with the axes.
        size: Inches; the chart is as wide as the page lets it be.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        "svg.fonttype": "none",  # text stays text
        "text.parse_math": False,  # a class may be called $x$
        "svg.hashsalt": name,  # ids differ from chart to chart
        "font.size": 10,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
        **{"axes.edgecolor": FAINT, "grid.color": FAINT, "grid.linewidth": 0.6, "axes.axisbelow": True},
        **{"legend.frameon": False, "legend.fontsize": 9},
    }
    with rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has it, where Matplotlib only measures
        figure = Figure(figsize=size, layout="constrained")  # not pyplot's, whose backend is the caller's
        axes = figure.subplots()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(length=0)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    content = text.getvalue()
    content = content[content.index("<svg") :]
    for stand_in, variable in VARIABLES.items():
        content = content.replace(stand_in, variable)
    content = re.sub(r'font: [^;"]*?(\d+(?:\.\d+)?)px [^;"]*', r"font-size: \1px", content)
    return content.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def curves(series: Mapping[str, tuple[np.ndarray, np.ndarray]], label: str, marked: Sequence[float] = ()) -> Chart:
    """Lines over epochs; `marked` are epochs with a vertical line."""
    from matplotlib.ticker import MaxNLocator

    def draw(axes: Any) -> None:
        for index, (name, (epochs, values)) in enumerate(series.items()):
            axes.plot(epochs, values, linestyle=STYLES[index % 6], color=SERIES[index % 6], label=name, linewidth=1.8)
            if len(epochs) == 1:
                axes.plot(epochs, values, MARKS[index % 6], color=SERIES[index % 6])
        for epoch in marked:
            axes.axvline(epoch, color=FAINT, linewidth=1.2, zorder=0)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        if series and len(series) <= 3 and max(map(len, series)) <= SHORT_NAME:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)  # above: no line goes through it
        elif series:
            axes.legend(ncols=2 if len(series) > 3 else 1)

    return draw


def class_accuracy(runs: Mapping[str, Sequence[float | None]], counts: Sequence[int], names: Sequence[str]) -> Chart:
    """Accuracy of each class against its number of training images."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    def draw(axes: Any) -> None:
        for index, (run, accuracy) in enumerate(runs.items()):
            known = [position for position, value in enumerate(accuracy) if value is not None]
            values = [100 * (accuracy[position] or 0) for position in known]
            x = [counts[position] for position in known]
            axes.plot(x, values, MARKS[index % 6], color=SERIES[index % 6], label=run, markersize=7, alpha=0.85)
            if len(runs) == 1 and len(names) <= MAX_NAMED:
                for position, value in zip(known, values, strict=True):
                    place = {"textcoords": "offset points", "fontsize": 8, "rotation": 35}
                    axes.annotate(names[position], (counts[position], value), (4, 4), **place)
        axes.set(xscale="log", xlabel="training images of the class", ylabel="test accuracy, %", ylim=(-4, 118))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.12)
        axes.grid()
        if len(runs) > 1:
            axes.legend()

    return draw


def confusion(labels: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> Chart:
    """Share of each class' test images that were taken for each class."""
    count = len(names)
    table = np.zeros((count, count))
    np.add.at(table, (labels, predicted), 1)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)

    def draw(axes: Any) -> None:
        axes.imshow(share, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        if count <= MAX_NAMED:
            axes.set_xticks(range(count), names, rotation=90)
            axes.set_yticks(range(count), names)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        if count <= MAX_WRITTEN:
            for row, column in np.argwhere(table > 0):
                colour = "#ffffff" if share[row, column] < 0.55 else "#000000"
                axes.text(
                    column, row, f"{100 * share[row, column]:.0f}", color=colour, ha="center", va="center", fontsize=8
                )
        axes.set(xlabel="predicted", ylabel="true class")
        axes.spines[:].set_visible(False)

    return draw


def calibration(labels: np.ndarray, probabilities: np.ndarray) -> Chart:
    """Accuracy of the predictions of like confidence, against that confidence."""
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    totals = np.bincount(bins, minlength=BINS)
    filled = np.flatnonzero(totals)
    accuracy = np.array([100 * hits[bins == each].mean() for each in filled])

    def draw(axes: Any) -> None:
        axes.bar(100 * (filled + 0.5) / BINS, accuracy, width=88 / BINS, color=SERIES[0], alpha=0.75)
        axes.plot((0, 100), (0, 100), "--", color=INK, linewidth=1, label="perfectly calibrated")
        for position, height in zip(filled, accuracy, strict=True):
            axes.annotate(
                f"{totals[position]}",
                (100 * (position + 0.5) / BINS, height),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.set(xlabel="confidence, %", ylabel="accuracy, %", xlim=(0, 100), ylim=(0, 112))
        axes.grid(axis="y")
        axes.legend(loc="upper left")

    return draw


def dots(figures: Mapping[str, Sequence[float]], label: str) -> Chart:
    """A row of dots for each name, and its mean as a line."""

    def draw(axes: Any) -> None:
        for index, (_, values) in enumerate(figures.items()):
            colour = SERIES[index % 6]
            axes.plot(values, np.full(len(values), index), MARKS[index % 6], color=colour, markersize=7, alpha=0.75)
            mean = float(np.mean(values))
            axes.plot((mean, mean), (index - 0.3, index + 0.3), color=INK, linewidth=1.8)
        axes.set_yticks(range(len(figures)), [name.replace(" + ", "\n+ ").replace(" (", "\n(") for name in figures])
        axes.set(xlabel=label, ylim=(len(figures) - 0.5, -0.5))
        axes.grid(axis="x")

    return draw
