"""Draws method.png, what happens to a training picture and what is shipped: `python docs/images/method.py`."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

INK, SOFT, SHIPPED, TRAINING = "#24292f", "#57606a", "#0072b2", "#d55e00"
SIDE = 96


def scene() -> np.ndarray:
    """A picture in which one sees what is turned, flipped or recoloured: a house, a tree and a sun."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    picture = np.stack([0.55 + 0.3 * rows, 0.75 + 0.15 * rows, 0.95 + 0 * rows], -1)
    picture[rows > 0.72] = (0.35, 0.62, 0.30)
    picture[(rows - 0.17) ** 2 + (columns - 0.16) ** 2 < 0.1**2] = (0.98, 0.80, 0.20)
    roof = (rows > 0.34) & (rows < 0.5) & (abs(columns - 0.36) < (rows - 0.34) * 1.5)
    picture[roof] = (0.70, 0.22, 0.18)
    picture[(rows > 0.5) & (rows < 0.8) & (abs(columns - 0.36) < 0.2)] = (0.93, 0.86, 0.72)
    picture[(rows > 0.6) & (rows < 0.8) & (abs(columns - 0.42) < 0.05)] = (0.40, 0.25, 0.15)
    picture[(rows > 0.6) & (rows < 0.8) & (abs(columns - 0.8) < 0.03)] = (0.40, 0.25, 0.15)
    picture[(rows - 0.48) ** 2 + (columns - 0.8) ** 2 < 0.16**2] = (0.15, 0.45, 0.20)
    return picture.clip(0, 1)


def altered(picture: np.ndarray, kind: str) -> tuple[np.ndarray, tuple[int, int]]:
    half = SIDE // 2
    top, left = {"rotated": (half, 0), "flipped": (0, half), "channels shuffled": (half, half)}[kind]
    patch = picture[top : top + half, left : left + half]
    changed = {"rotated": np.rot90(patch), "flipped": patch[::-1], "channels shuffled": patch[..., [2, 0, 1]]}[kind]
    picture = picture.copy()
    picture[top : top + half, left : left + half] = changed
    return picture, (top, left)


def main(path: Path) -> None:
    figure = Figure(figsize=(10, 3.7), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 10), ylim=(0, 3.7))
    axes.axis("off")
    kinds = ("rotated", "flipped", "channels shuffled")
    for row, kind in enumerate(kinds):
        picture, (top, left) = altered(scene(), kind)
        bottom = 2.52 - row * 1.12
        axes.imshow(picture, extent=(0.2, 1.18, bottom, bottom + 0.98), aspect="auto", zorder=2)
        corner = (0.2 + left / SIDE * 0.98, bottom + 0.98 - (top + SIDE // 2) / SIDE * 0.98)
        axes.add_patch(Rectangle(corner, 0.49, 0.49, fill=False, edgecolor=TRAINING, linewidth=2, zorder=3))
        axes.text(1.32, bottom + 0.49, kind, color=INK, fontsize=11, va="center")
    axes.text(0.2, 0.08, "one quadrant of a training picture", color=SOFT, fontsize=9)

    _box(axes, 3.25, 1.35, 1.45, 1.1, "backbone", SHIPPED)
    _box(axes, 5.6, 2.45, 1.75, 0.75, "class head", SHIPPED)
    for row, name in enumerate(("which turn?", "which flip?", "which order?")):
        _box(axes, 5.6, 1.55 - row * 0.62, 1.75, 0.48, name, TRAINING, size=10)
        _arrow(axes, (4.7, 1.8), (5.58, 1.79 - row * 0.62), TRAINING)
        _arrow(axes, (7.36, 1.79 - row * 0.62), (8.02, 1.2), TRAINING)
    _arrow(axes, (2.75, 1.9), (3.23, 1.9), INK)
    _arrow(axes, (4.7, 2.0), (5.58, 2.8), SHIPPED)
    _arrow(axes, (7.36, 2.82), (8.02, 2.82), SHIPPED)
    axes.text(8.1, 2.82, "class loss that gives\nrare classes more room", color=INK, fontsize=10, va="center")
    axes.text(8.1, 1.2, "pretext losses,\nweighed by a gate", color=INK, fontsize=10, va="center")
    axes.text(5.6, 3.38, "shipped", color=SHIPPED, fontsize=10, weight="bold")
    axes.text(3.25, 2.58, "shipped", color=SHIPPED, fontsize=10, weight="bold")
    axes.text(5.6, 0.06, "used in training only", color=TRAINING, fontsize=10, weight="bold")
    figure.savefig(path, dpi=160)


def _box(axes, x, y, width, height, text, colour, size=12):
    shape = FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.1", facecolor=colour + "18", edgecolor=colour,
        linewidth=1.8,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", color=INK, fontsize=size)


def _arrow(axes, start, end, colour):
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=colour, linewidth=1.2))


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".png"))
