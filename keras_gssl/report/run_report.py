"""The report of one run."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.class_groups import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.errors import UserError, counted
from keras_gssl.files import write_text
from keras_gssl.pretext.catalogue import GATES
from keras_gssl.pretext.tasks import TASKS, make_tasks
from keras_gssl.report.answers import calibration, confusion, every_class, mistakes, per_class
from keras_gssl.report.charts import curves, svg
from keras_gssl.report.dial import rare_or_frequent
from keras_gssl.report.images import Figure, gallery, side_by_side, transform_examples, with_heat
from keras_gssl.report.page import definitions, page, percent, section
from keras_gssl.report.run_data import RunData, read_run
from keras_gssl.report.tables import table
from keras_gssl.runs.titles import title

EXPLAINED = 6


def write_report(path: str | Path) -> Path:
    """Write `report.html` into the folder of a finished run, from what the folder holds.

    Raises:
        UserError: The run has not finished.
    """
    run = read_run(path)
    sections = [
        _results(run),
        *_curves(run),
        per_class(run),
        calibration(run),
        rare_or_frequent(run),
        *every_class(run),
        confusion(run),
        *mistakes(run),
        *_transforms(run),
        _grad_cam(run),
        _settings(run),
    ]
    content = page(f"{run.name}: {run.about['name']}", _lead(run), sections)
    write_text(run.folder.report, content)
    return run.folder.report


def _lead(run: RunData) -> str:
    result, counts = run.result, run.about["class_counts"]
    name = title(result.method, str(result.settings["loss"]))
    code = "" if name == result.method else f" (method {html.escape(result.method)})"
    length = "" if result.full_length else " This is a short run: its figures say little about the method."
    return (
        f"<p>Trained with <strong>{html.escape(name)}</strong>{code}, {result.settings['epochs']} epochs on "
        f"{sum(counts):,} training images in {len(counts)} classes ({min(counts)} to {max(counts):,} images each); "
        f"<strong>{percent(result.last_epoch.accuracy)} %</strong> of {run.about['test_images']:,} test images "
        f"right after the last epoch.{length}</p>"
    )


def _results(run: RunData) -> str:
    columns = ("accuracy", *GROUPS, "balanced_accuracy", "expected_calibration_error")
    titles = ("", "accuracy", *GROUPS, "balanced", "calibration error")
    rows = [
        (f"{name} epoch ({scores.epoch + 1})", *(percent(getattr(scores, column)) for column in columns))
        for name, scores in (("last", run.result.last_epoch), ("best", run.result.best_epoch))
    ]
    note = (
        f"In percent, on the test images. many: classes with more than {MANY_ABOVE} training "
        f"images; few: fewer than {FEW_BELOW}. The best epoch is {run.result.best_epoch.note}. All below is of the "
        f"last epoch.{_exactness(run)}{_doubles(run)}"
    )
    return section("Results", table(titles, rows), note, wide=True)


def _exactness(run: RunData) -> str:
    intervals = run.result.last_epoch.intervals
    if intervals is None:
        return ""
    accuracy, balanced = (
        f"{percent(intervals[name][0])} and {percent(intervals[name][1])}" for name in ("accuracy", "balanced_accuracy")
    )
    return (
        f" With other test images of the same kind the last epoch's accuracy would lie between {accuracy}, balanced "
        f"{balanced} (95 %); another seed of the training changes it too."
    )


def _doubles(run: RunData) -> str:
    count = run.about.get("doubles", 0)
    if not count:
        return ""
    pictures = counted(count, "picture for validation or testing is", "pictures for validation or testing are")
    return f" {pictures} (nearly) the same as one for something else."


def _altered(run: RunData, column: str, factor: float = 1) -> tuple[np.ndarray, np.ndarray]:
    """A column in the epochs with altered pictures: in those without there is nothing for a task to tell."""
    epochs, values = run.series(column)
    settings = run.result.settings
    plain = int(settings.get("plain_epochs", 0)) + int(settings.get("retrain_epochs", 0))
    kept = epochs <= int(settings["epochs"]) - plain
    return epochs[kept], factor * values[kept]


def _curves(run: RunData) -> list[str]:
    best, last = run.result.best_epoch.epoch + 1, run.result.last_epoch.epoch + 1
    chosen_on = "validation" if run.about.get("validation_images") else "test"
    losses = {
        title: run.series(column)
        for title, column in (("total", "loss"), ("class", "class_loss"), (chosen_on, "val_loss"))
        if len(run.series(column)[0])
    }
    accuracies = {
        title: (epochs, 100 * values)
        for title, (epochs, values) in (("training", run.series("accuracy")), (chosen_on, run.series("val_accuracy")))
        if len(epochs)
    }
    marks = f"The vertical lines are the best ({best}) and the last epoch ({last})."
    sections = [
        section("Loss", svg("Loss over epochs", curves(losses, "loss", (best, last))), marks),
        section("Accuracy", svg("Accuracy over epochs", curves(accuracies, "accuracy, %", (best, last))), marks),
    ]
    tasks = [name.removeprefix("gate_") for name in run.history if name.startswith("gate_")]
    if tasks:
        gates = {task: _altered(run, f"gate_{task}") for task in tasks}
        told = {task: _altered(run, f"{task}_accuracy", 100) for task in tasks}
        chance = ", ".join(f"{task} {100 / labels:.1f} %" for task, labels in _labels_of(tasks).items())
        sections += [
            section(
                "Gate weights",
                svg("Gate weights over epochs", curves(gates, "mean weight")),
                "How much each pretext task counts, mean over the images of an epoch. "
                + said_of_gate(run.result.settings),
            ),
            section(
                "Pretext tasks",
                svg("Accuracy of the pretext heads over epochs", curves(told, "accuracy, %")),
                "How often each head tells what was done to the quadrant"
                + (f"; by chance: {chance}." if chance else "."),
            ),
        ]
    return sections


#: What a gate does, for somebody who has met none.
GATES_SAID = {
    "frozen": "The gate is frozen: it is never trained, so that its first, random weights decide.",
    "learned": "The gate is learned: the loss trains it, so that it goes to the task that is easiest.",
    "rewarded": "The gate is rewarded: a task counts more the better its head tells it and the more it agrees with the "
    "class loss.",
    "look-ahead": "The gate looks ahead: a task counts more the further a step on it would lower the class loss; what "
    "is missing to 1 counts for no task.",
    "none": "There is no gate: every task counts fully.",
    "uniform": "Every task counts the same.",
    "random": "Drawn anew for every image, as a control.",
    "shuffled": "Those of the look-ahead gate, each given to another image, as a control.",
}


def said_of_gate(settings: Mapping[str, Any]) -> str:
    """What the gate of a run did."""
    gating = settings["gating"]
    if settings.get("gate_weights"):
        return "The weights were given beforehand."
    if gating in GATES and len(settings["tasks"]) < GATES[gating].least_tasks:
        gating = "none"
    return GATES_SAID.get(gating, f"The gate is {gating}.")


def _labels_of(tasks: list[str]) -> dict[str, int]:
    known = {task.name: task.num_labels for task in make_tasks(tuple(TASKS))}
    return {task: known[task] for task in tasks if task in known}


def _transforms(run: RunData) -> list[str]:
    settings = run.result.settings
    if not settings["tasks"]:
        return []
    images, _ = _samples(run)
    image = images[images.std(axis=-1).mean(axis=(1, 2)).argmax()]  # the most colourful shows shuffled channels best
    parts = [
        f"<h3>{html.escape(task.name)}</h3>" + gallery(transform_examples(image, task), "small")
        for task in make_tasks(settings["tasks"], settings["flip_axis"])
    ]
    note = (
        "What the pretext tasks make of one quadrant, here the top-left one; in training it is drawn at random, and "
        "all tasks act on the same one."
    )
    return [section("Transforms", "".join(parts), note, wide=True)]


def _grad_cam(run: RunData) -> str:
    from keras_gssl.export.deployable import load_deployable
    from keras_gssl.report.explanations import heat_maps

    images, labels = _samples(run)
    model = load_deployable(run.folder.path)
    try:
        figures = []
        for image, label in zip(images[:EXPLAINED], labels[:EXPLAINED], strict=True):
            heat = heat_maps(model, image, ["Grad-CAM"])["Grad-CAM"]
            predicted = run.class_names[int(model.logits(image[np.newaxis]).argmax())]
            caption = f"predicted {predicted}, true {run.class_names[label]}"
            figures.append(Figure(side_by_side((image, with_heat(image, heat))), caption))
    except UserError as error:  # tf-keras-vis is an extra
        return section("Grad-CAM", f"<p>{html.escape(str(error))}</p>", wide=True)
    note = "Test images, and where in them the classifier found evidence for what it predicted."
    return section("Grad-CAM", gallery(figures, "pairs"), note, wide=True)


def _samples(run: RunData) -> tuple[np.ndarray, np.ndarray]:
    stored = run.folder.read_arrays(run.folder.samples, "images", "labels")
    return stored["images"], stored["labels"]


def _settings(run: RunData) -> str:
    result = run.result
    values: dict[str, Any] = {
        **result.settings,
        "precision used": result.precision,
        "learning rate drops at": result.milestones["learning_rate_drops"],
        "re-weighting from": result.milestones["reweighting"],
        "wall time": f"{result.wall_time_seconds / 60:.1f} min",
        "hardware": result.hardware,
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
    }
    return section("Settings", definitions(values), wide=True)
