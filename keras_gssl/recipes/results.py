"""Results of runs as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from keras_gssl.metrics import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult, Scores

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
    table = format_table({f"last epoch ({last.epoch})": last, f"best epoch ({best.epoch})": best})
    return (
        f"\nTest accuracy in percent, epochs counted from 0; best is {best.note or 'chosen on the test set'}.\n"
        f"{table}\n"
        f"{_exactness(last)}"
        f"many: more than {MANY_ABOVE} training images per class; few: fewer than {FEW_BELOW}.\n"
        f"Run folder: {folder.path}\n"
        f"Report:     {folder.report}\n"
        f"Classifier: {folder.classifier}\n"
        f"Export it:  python -m keras_gssl.export onnx {folder.path} -o classifier.onnx"
    )


def _exactness(scores: Scores) -> str:
    if scores.intervals is None or scores.tested is None:
        return ""
    low, high = scores.intervals["accuracy"]
    return (
        f"On {sum(scores.tested):,} test images the last epoch's accuracy is known to lie between {100 * low:.2f} and "
        f"{100 * high:.2f} (95 %).\n"
    )
