"""Several runs on one page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from keras_gssl.class_groups import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.errors import UserError
from keras_gssl.files import write_text
from keras_gssl.report.charts import SERIES, class_accuracy, curves, svg
from keras_gssl.report.page import page, percent, section, shown
from keras_gssl.report.run_data import RunData, read_run
from keras_gssl.report.tables import table


def write_comparison(paths: Sequence[str | Path], output: Path, names: Sequence[str] | None = None) -> Path:
    """Write a page that compares finished runs, called `names`, by default as their folders are.

    Raises:
        UserError: A run has not finished, or there are more than the charts can tell apart.
    """
    if len(paths) > len(SERIES):
        raise UserError(f"Up to {len(SERIES)} runs can be compared on one page, received {len(paths)}.")
    runs = [read_run(path) for path in paths]
    names = names or _names(runs)
    sections = [_results(runs, names), *_curves(runs, names), *_per_class(runs, names), _differences(runs, names)]
    output.parent.mkdir(parents=True, exist_ok=True)
    lead = f"<p>{html.escape(', '.join(names))}</p>"
    write_text(output, page(f"{len(runs)} runs compared", lead, sections))
    return output


def _names(runs: Sequence[RunData]) -> list[str]:
    names = [run.name for run in runs]
    return [name if names.count(name) == 1 else str(run.folder.path) for name, run in zip(names, runs, strict=True)]


def _results(runs: Sequence[RunData], names: Sequence[str]) -> str:
    titles = ("run", "last epoch", *GROUPS, "balanced", "calibration error", "best epoch")
    rows = []
    for run, name in zip(runs, names, strict=True):
        last, best = run.result.last_epoch, run.result.best_epoch
        columns = ("accuracy", *GROUPS, "balanced_accuracy", "expected_calibration_error")
        rows.append((name, *(percent(getattr(last, column)) for column in columns), percent(best.accuracy)))
    note = (
        f"In percent, on the test images; all but the last column after the last epoch. many: classes with more than "
        f"{MANY_ABOVE} training images; few: fewer than {FEW_BELOW}. The best epoch is "
        f"{'; '.join(dict.fromkeys(run.result.best_epoch.note or 'chosen on the test set' for run in runs))}."
    )
    return section("Results", table(titles, rows), note, wide=True)


def _curves(runs: Sequence[RunData], names: Sequence[str]) -> list[str]:
    sections = []
    for title, column, factor, label in (
        ("Test accuracy", "val_accuracy", 100, "accuracy, %"),
        ("Training accuracy", "accuracy", 100, "accuracy, %"),
        ("Class loss", "class_loss", 1, "loss"),
    ):
        series = {
            name: (run.series(column)[0], factor * run.series(column)[1])
            for run, name in zip(runs, names, strict=True)
            if len(run.series(column)[0])
        }
        if series:
            sections.append(section(title, svg(f"{title} over epochs", curves(series, label))))
    return sections


def _per_class(runs: Sequence[RunData], names: Sequence[str]) -> list[str]:
    first = runs[0].about
    if any(run.about["class_counts"] != first["class_counts"] for run in runs):
        return [section("Accuracy per class", "<p>The runs were trained on different data.</p>")]
    accuracy = {name: run.result.last_epoch.per_class for run, name in zip(runs, names, strict=True)}
    chart = class_accuracy(accuracy, first["class_counts"], first["class_names"])
    return [section("Accuracy per class", svg("Accuracy per class", chart), "Rare classes are on the left.")]


def _differences(runs: Sequence[RunData], names: Sequence[str]) -> str:
    settings = [{**run.result.settings, "data": run.about["name"], "hardware": run.result.hardware} for run in runs]
    keys = dict.fromkeys(key for each in settings for key in each)
    differing = [key for key in keys if len({str(each.get(key)) for each in settings}) > 1]
    if not differing:
        return section("Settings that differ", "<p>None.</p>", wide=True)
    rows = [(key, *(shown(each.get(key)) for each in settings)) for key in differing]
    return section("Settings that differ", table(("", *names), rows), wide=True)
