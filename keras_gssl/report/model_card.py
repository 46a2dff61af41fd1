"""The model card: what the classifier of a run is, what it was trained on, how good it is and where its limits are."""

from __future__ import annotations

import re
from pathlib import Path

from keras_gssl.class_groups import FEW_BELOW, GROUPS, MANY_ABOVE
from keras_gssl.errors import one_line
from keras_gssl.files import write_text
from keras_gssl.report.answers import class_rows
from keras_gssl.report.page import percent
from keras_gssl.report.run_data import RunData, read_run
from keras_gssl.runs.result import Scores
from keras_gssl.runs.titles import title

LONGEST_LIST = 50


def write_model_card(path: str | Path) -> Path:
    """Write `model_card.md` into the folder of a finished run.

    Reference:
        "Model Cards for Model Reporting" (FAT* 2019).
    """
    run = read_run(path)
    write_text(run.folder.model_card, model_card(run))
    return run.folder.model_card


def model_card(run: RunData) -> str:
    """The card as Markdown."""
    result, about = run.result, run.about
    settings, last = result.settings, result.last_epoch
    height, width, channels = about["image_shape"]
    tasks, loss = ", ".join(settings["tasks"]) or "none", str(settings["loss"])
    tasks += f" under gate {settings['gating']}" if result.method == "moe" else ""
    name = title(result.method, loss)
    counts = about["class_counts"]
    rows = [f"| {as_text(name)} | {' | '.join(figures)} |" for name, *figures in class_rows(run)]
    if len(rows) > LONGEST_LIST:
        rows = [*rows[:LONGEST_LIST], f"| ... {len(rows) - LONGEST_LIST} more in metrics.json | | | | |"]
    groups = ", ".join(f"{group} {percent(getattr(last, group))}" for group in GROUPS)
    rare = [as_text(name) for name, count in zip(about["class_names"], counts, strict=True) if count < FEW_BELOW]
    return f"""# Model card: {as_text(run.name)}

An image classifier for {len(counts)} classes, {settings["backbone"]}, trained by keras_gssl \
{result.versions["keras_gssl"]}.

- Input: images of {height}x{width} pixels, {channels} channels; mean {_numbers(about["mean"])} and standard deviation \
{_numbers(about["std"])} (per channel, scale 0-1) are taken out. Exports have that inside and take pixels 0-255.
- Output: logits, one per class.
- Method: {result.method}, {name if name != result.method else "a combination"}; pretext tasks {tasks}, loss {loss}, \
{settings["epochs"]} epochs, seed {settings["seed"]}.

## Data

{as_text(about["name"])}: {sum(counts):,} training images, {about["test_images"]:,} test images. Training images per \
class: {min(counts)} to {max(counts):,}. SHA-256 of the training subset: {about["subset_sha256"]}.

## How good it is

On the test images, after the last epoch: accuracy {percent(last.accuracy)} %, balanced \
{percent(last.balanced_accuracy)} %; by class size: {groups} (many: more than {MANY_ABOVE} training images, few: \
fewer than {FEW_BELOW}). Expected calibration error {percent(last.expected_calibration_error)} %. One run; other \
seeds give other figures.{_intervals(last)}{_chosen(run)}

The rarest class first; the interval is Wilson's, of 95 %.

| class | training images | test images | test accuracy, % | interval |
|---|---|---|---|---|
{chr(10).join(rows)}

## Limits

- It knows these classes only, and names one of them for any picture.
- It was tested on images like those that it was trained on; elsewhere it may be worse.
{_rare_line(rare)}{_probabilities(run)}

## Licence

The classifier's licence is for its maker to say; it is bound by the terms of the training images and of any weights \
that it started from. keras_gssl itself is under the Apache License 2.0.
"""


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)


def _intervals(scores: Scores) -> str:
    if scores.intervals is None:
        return ""
    low, high = scores.intervals["accuracy"]
    return (
        f" With other test images of the same kind the accuracy would lie between {percent(low)} and {percent(high)} "
        f"(95 %)."
    )


def _chosen(run: RunData) -> str:
    validation, doubles = run.about.get("validation_images", 0), run.about.get("doubles", 0)
    told = f" {validation:,} further images were for choosing on." if validation else ""
    return told + (f" {doubles} images are (nearly) in two of these parts." if doubles else "")


def _probabilities(run: RunData) -> str:
    if "temperature" not in run.calibration:
        return (
            "- Its probabilities are not calibrated for decisions that cost something; see the calibration diagram in "
            "report.html."
        )
    errors = run.calibration["test_calibration_error"]
    return (
        f"- Its probabilities are calibrated only in files that were exported so (temperature "
        f"{run.calibration['temperature']:.3f}, from validation images): calibration error on the test images "
        f"{percent(errors['after'])} %, without {percent(errors['before'])} %. They hold for the class mix there."
    )


def as_text(name: str) -> str:
    """A name that somebody chose, as text in Markdown: no formatting, links, HTML or further lines come of it."""
    return re.sub(r"([\\`*|<>\[\]$#~])", r"\\\1", one_line(name))


def _rare_line(rare: list[str]) -> str:
    if not rare:
        return ""
    shown = ", ".join(rare[:10]) + (", ..." if len(rare) > 10 else "")
    return f"- It saw fewer than {FEW_BELOW} examples of {shown}: expect more mistakes there than the average says.\n"
