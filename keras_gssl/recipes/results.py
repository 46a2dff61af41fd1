"""Results of runs as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_gssl.metrics import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.run_folder import RunFolder

COLUMNS = ("accuracy", *GROUPS)


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Accuracy in percent, overall and by class size, one named row each."""
    width = max(len(name) for name in rows)
    lines = [" " * width + "".join(f"{column:>10}" for column in COLUMNS)]
    for name, metrics in rows.items():
        cells = ("-" if metrics[column] is None else f"{100 * metrics[column]:.2f}" for column in COLUMNS)
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    return "\n".join(lines)


def format_results(results: Mapping[str, Any], folder: RunFolder) -> str:
    """What a finished run prints."""
    last, best = results["last_epoch"], results["best_epoch"]
    table = format_table({f"last epoch ({last['epoch']})": last, f"best epoch ({best['epoch']})": best})
    return (
        f"\nTest accuracy in percent, epochs counted from 0; best is chosen on the test set and so optimistic.\n"
        f"{table}\n"
        f"many: more than {MANY_ABOVE} training images per class; few: fewer than {FEW_BELOW}.\n"
        f"Run folder: {folder.path}\n"
        f"Report:     {folder.report}\n"
        f"Classifier: {folder.classifier}\n"
        f"Export it:  python export/to_onnx.py {folder.path} -o classifier.onnx"
    )
