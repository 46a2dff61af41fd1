"""Draws heads.png from heads.csv, how the pretext heads learn under the recipe fast: `python docs/images/heads.py`.

The table holds those columns of the history of `keras-gssl train cifar10_lt --recipe fast`, seed 0, that are drawn, as
far as quadrants were altered.
"""

import csv
from pathlib import Path

from matplotlib.figure import Figure

HERE = Path(__file__).parent
TASKS = {
    "lorot": ("rotation", 1 / 16, "#0072b2"),
    "flip": ("flip", 1 / 2, "#d55e00"),
    "channels": ("channels", 1 / 6, "#009e73"),
}


def main() -> None:
    with open(HERE / "heads.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) for row in rows]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    told, weighed = figure.subplots(1, 2)
    for task, (name, chance, colour) in TASKS.items():
        told.plot(epochs, [100 * float(row[f"{task}_accuracy"]) for row in rows], color=colour, label=name)
        told.axhline(100 * chance, color=colour, linestyle=":", linewidth=1)
        weighed.plot(epochs, [float(row[f"gate_{task}"]) for row in rows], color=colour, label=name)
    told.set(xlabel="epoch", ylabel="%", ylim=(0, 100), title="told by the heads (dotted: by chance)")
    weighed.set(xlabel="epoch", ylim=(0, 1), title="mean weight that the gate gives")
    for axes in (told, weighed):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    weighed.legend(frameon=False, loc="upper center", ncols=3)
    figure.savefig(HERE / "heads.png", dpi=110)


if __name__ == "__main__":
    main()
