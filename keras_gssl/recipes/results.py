"""Results of runs as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from keras_gssl.class_groups import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult, Scores

FAR_BELOW = 0.05  # of an accuracy
COLUMNS = ("accuracy", *GROUPS)


def format_table(rows: Mapping[str, Scores]) -> str:
    """Accuracy in percent, overall and by class size, one named row each."""
    width = max(len(name) for name in rows)
    lines = [" " * width + "".join(f"{column:>10}" for column in COLUMNS)]
    for name, scores in rows.items():
        values = (getattr(scores, column) for column in COLUMNS)
        cells = ("-" if value is None else f"{100 * value:.2f}" for value in values)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


def format_results(result: RunResult, folder: RunFolder) -> str:
    """What a finished run prints."""
    last, best = result.last_epoch, result.best_epoch
    table = format_table({f"last epoch ({last.epoch + 1})": last, f"best epoch ({best.epoch + 1})": best})
    return (
        f"\nTest accuracy in percent; best is {best.note or 'chosen on the test set'}.\n"
        f"{table}\n"
        f"{_exactness(last)}"
        f"many: more than {MANY_ABOVE} training images per class; few: fewer than {FEW_BELOW}.\n"
        f"Run folder: {folder.path}\n"
        f"Report:     {folder.report}\n"
        f"Classifier: {folder.classifier}\n"
        f"Export it:  keras-gssl export onnx {folder.path} -o classifier.onnx{_worse(result)}"
    )


def _exactness(scores: Scores) -> str:
    if scores.intervals is None or scores.tested is None:
        return ""
    low, high = scores.intervals["accuracy"]
    return (
        f"With {sum(scores.tested):,} other test images of the same kind the last epoch's accuracy would lie between "
        f"{100 * low:.2f} and {100 * high:.2f} (95 %).\n"
    )


def _worse(result: RunResult) -> str:
    """A training that ended far below where it had been is not to be shipped unnoticed."""
    last, best = result.last_epoch, result.best_epoch
    below = best.accuracy - last.accuracy
    if below < FAR_BELOW:
        return ""
    return (
        f"\nThe last epoch, which is what is exported, is {100 * below:.1f} points below epoch {best.epoch + 1}: "
        f"train for longer, or export best.keras of the run folder."
    )
