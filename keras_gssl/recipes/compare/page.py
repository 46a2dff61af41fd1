"""The page of a comparison: how good each method is, what their differences are worth, what they cost."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.class_groups import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.errors import UserError
from keras_gssl.files import write_text
from keras_gssl.recipes.compare.plan import Plan
from keras_gssl.recipes.paired import Difference, paired_difference, verdict
from keras_gssl.report.charts import dots, svg
from keras_gssl.report.page import definitions, page, section
from keras_gssl.report.tables import long_table, table
from keras_gssl.runs.result import RunResult

Results = Mapping[str, Sequence[RunResult]]
NAMES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "few": "accuracy on rare classes"}


def write_page(plan: Plan, results: Results, folder: Path, by: str = "balanced_accuracy") -> Path:
    """Write `comparison.html` into the folder of a comparison."""
    sections = [
        _figures(results, by),
        _runs(results, by),
        _differences(plan, results, by),
        _per_class(results),
        _settings(plan, results),
    ]
    lead = f"<p><strong>{html.escape(_verdict(plan, results, by))}</strong></p>" + _lead(plan, results)
    output = folder / "comparison.html"
    write_text(output, page(f"Does it help on {plan.name}?", lead, sections))
    return output


def summary(plan: Plan, results: Results, by: str = "balanced_accuracy") -> dict[str, Any]:
    """The comparison as figures, and as the text for a terminal."""
    methods: dict[str, dict[str, Any]] = {
        name: {
            "runs": len(runs),
            **{key: _mean_and_spread(runs, key) for key in ("accuracy", "balanced_accuracy", *GROUPS)},
            "minutes": float(np.mean([run.wall_time_seconds for run in runs])) / 60,
        }
        for name, runs in results.items()
    }
    width = max(map(len, methods))
    titles = ("balanced", "accuracy", *GROUPS, "minutes")
    lines = [" " * width + "".join(f"{title:>15}" for title in titles)]
    for name, told in methods.items():
        cells = [_cell(told[key]) for key in ("balanced_accuracy", "accuracy", *GROUPS)]
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>15}" for cell in [*cells, f"{told['minutes']:.1f}"]))
    sentence = _verdict(plan, results, by)
    heading = f"Percent of the test images after the last epoch, mean and (standard deviation) over {plan.unit}."
    return {
        "data": plan.name,
        "by": by,
        "verdict": sentence,
        "methods": methods,
        "text": "\n".join([heading, *lines, "", sentence]),
    }


def _verdict(plan: Plan, results: Results, by: str) -> str:
    told = verdict({name: _values(runs, by) for name, runs in results.items()}, NAMES[by], plan.unit, plan.overlap)
    return told[:1].upper() + told[1:]


def _lead(plan: Plan, results: Results) -> str:
    first = next(iter(results.values()))[0]
    counts = first.data["class_counts"]
    done, planned = len(next(iter(results.values()))), len(plan.in_order) // len(plan.methods)
    split = "one split: what is said of noise is that of the training, on these test pictures"
    if plan.folds:
        split = f"{plan.folds} folds" + (", every picture tested once for each seed" if done == planned else "")
    return (
        f"<p>{len(results)} methods, {done} of {planned} runs of each ({split}), "
        f"{_all(results, 'epochs')} epochs, {html.escape(_all(results, 'backbone'))}; {sum(counts):,} training "
        f"images in {len(counts)} classes ({min(counts)} to {max(counts):,}). Runs with the same seed and fold are "
        f"compared with each other, so that what differs is the method, with the settings that its name holds.</p>"
    )


def _figures(results: Results, by: str) -> str:
    keys = (by, *(key for key in ("balanced_accuracy", "accuracy") if key != by), *(g for g in GROUPS if g != by))
    titles = {**NAMES, "few": "few", "many": "many", "medium": "medium"}
    rows = []
    for name, runs in results.items():
        minutes = float(np.mean([run.wall_time_seconds for run in runs])) / 60
        error = 100 * float(np.mean([run.last_epoch.expected_calibration_error for run in runs]))
        cells = [_cell(_mean_and_spread(runs, key)) for key in keys]
        rows.append((name, *cells, f"{error:.1f}", f"{minutes:.1f}"))
    note = (
        f"Percent of the test images, after the last epoch: mean and (standard deviation) over the runs. many: classes "
        f"with more than {MANY_ABOVE} training images; few: fewer than {FEW_BELOW}. Minutes are of one run on this "
        f"machine, evaluation included."
    )
    columns = ("method", *(titles[key] for key in keys), "calibration error", "minutes")
    return section("How good each method is", table(columns, rows), note, wide=True)


def _runs(results: Results, by: str) -> str:
    figures = {name: [100 * value for value in _values(runs, by)] for name, runs in results.items()}
    height = 1.2 + 0.42 * len(figures)
    chart = svg(f"{NAMES[by]} of every run", dots(figures, f"{NAMES[by]}, %"), (5.2, height))
    return section("Every run", chart, "A dot is a run, a line the mean. Methods whose dots mix may well be equal.")


def _differences(plan: Plan, results: Results, by: str) -> str:
    names = list(results)
    base, others = names[0], names[1:]
    rows = []
    for name in others:
        pair = paired_difference(_values(results[name], by), _values(results[base], by), plan.overlap, len(others))
        rows.append((name, f"{100 * pair.mean:+.2f}", _interval(pair), _reading(pair)))
    note = (
        f"Points of {NAMES[by]} above {base}, from pairs of runs with the same seed and fold; the intervals hold all "
        f"together in 95 % of such comparisons (t, Bonferroni{', corrected for folds' if plan.folds else ''})."
    )
    return section(f"Against {base}", table(("method", "points", "95 % interval", "reading"), rows), note)


def _interval(pair: Difference) -> str:
    return f"{100 * pair.low:+.2f} to {100 * pair.high:+.2f}" if pair.pairs > 1 else "one run says nothing"


def _reading(pair: Difference) -> str:
    if pair.pairs < 2 or not pair.certain:
        return "noise"
    return "better" if pair.mean > 0 else "worse"


def _per_class(results: Results) -> str:
    first = next(iter(results.values()))[0]
    counts = first.data["class_counts"]
    names = first.data.get("class_names") or [f"class {index}" for index in range(len(counts))]
    means = {}
    for name, runs in results.items():
        values = np.array([[np.nan if v is None else v for v in run.last_epoch.per_class] for run in runs], float)
        known = ~np.isnan(values)
        means[name] = np.divide(
            np.nansum(values, axis=0), known.sum(axis=0), out=np.full(len(counts), np.nan), where=known.any(axis=0)
        )
    rows = []
    for index in np.argsort(counts, kind="stable"):
        cells = (("-" if np.isnan(mean[index]) else f"{100 * mean[index]:.1f}") for mean in means.values())
        rows.append((names[index], f"{counts[index]:,}", *cells))
    note = "Percent of the class' test images, mean over the runs; the rarest class first, a heading sorts by it."
    return section("Every class", long_table(("class", "training images", *means), rows, "class"), note, wide=True)


def _settings(plan: Plan, results: Results) -> str:
    first = next(iter(results.values()))[0]
    runs = [run for each in results.values() for run in each]
    values: dict[str, Any] = {
        "seeds": plan.seeds,
        "folds": plan.folds or "none",
        **{key: _all(results, key) for key in ("backbone", "epochs", "batch_size", "learning_rate", "recipe")},
        "precision": ", ".join(sorted({run.precision for run in runs})),
        "hardware": ", ".join(sorted({run.hardware for run in runs})),
        "time of all runs": f"{sum(run.wall_time_seconds for run in runs) / 60:.1f} min",
        "versions": ", ".join(f"{name} {version}" for name, version in first.versions.items()),
    }
    return section("Settings", definitions(values), wide=True)


def _all(results: Results, key: str) -> str:
    """A setting of the runs: one value, or those of the methods in their order."""
    return " or ".join(dict.fromkeys(str(run.settings[key]) for runs in results.values() for run in runs))


def _values(runs: Sequence[RunResult], key: str) -> list[float]:
    values = [getattr(run.last_epoch, key) for run in runs]
    if any(value is None for value in values):
        raise UserError(f"There is no {NAMES[key]} here: no class has fewer than {FEW_BELOW} training images (by).")
    return [float(value) for value in values]


def _mean_and_spread(runs: Sequence[RunResult], key: str) -> list[float] | None:
    """In percent; None where no class is of that size."""
    values = [getattr(run.last_epoch, key) for run in runs]
    if any(value is None for value in values):
        return None
    percent = 100 * np.array(values, float)
    return [float(percent.mean()), float(percent.std(ddof=1))] if len(percent) > 1 else [float(percent.mean())]


def _cell(figures: Sequence[float] | None) -> str:
    if figures is None:
        return "-"
    return f"{figures[0]:.2f} ({figures[1]:.2f})" if len(figures) > 1 else f"{figures[0]:.2f}"
