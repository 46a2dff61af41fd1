"""Sections of a report that show what a classifier answers on the test images: by class, how surely, and wrongly."""

from __future__ import annotations

from scipy.special import softmax

from keras_gssl.intervals import wilson_interval
from keras_gssl.report import charts
from keras_gssl.report.charts import svg
from keras_gssl.report.images import Figure, gallery
from keras_gssl.report.page import percent, section
from keras_gssl.report.run_data import RunData
from keras_gssl.report.tables import long_table


def per_class(run: RunData) -> str:
    """Accuracy of each class as a chart."""
    accuracy = run.result.last_epoch.per_class
    chart = svg(
        "Accuracy per class against number of training images",
        charts.class_accuracy({run.name: accuracy}, run.about["class_counts"], run.class_names),
    )
    return section("Accuracy per class", chart, "Rare classes are on the left.")


def every_class(run: RunData) -> list[str]:
    """Accuracy of each class with its interval, the rarest first; nothing for runs of version 0.1."""
    if run.result.last_epoch.tested is None:
        return []
    rows = class_rows(run)
    columns = ("class", "training images", "test images", "accuracy", "95 % interval")
    note = (
        "In percent, the rarest class first; a heading sorts by it. Of few test images nothing is known for sure, "
        "whatever the accuracy: see the interval (Wilson)."
    )
    return [section("Every class", long_table(columns, rows, "class"), note, wide=True)]


def class_rows(run: RunData) -> list[tuple[str, str, str, str, str]]:
    """Of each class, the rarest first: name, training images, test images, accuracy and its interval, as text."""
    scores, counts = run.result.last_epoch, run.about["class_counts"]
    rows = []
    tested_each = scores.tested or [0] * len(counts)  # version 0.1 did not count them
    of_each = list(zip(run.class_names, counts, tested_each, scores.per_class, strict=True))
    for name, count, tested, share in sorted(of_each, key=lambda each: each[1]):
        low, high = wilson_interval(round((share or 0) * tested), tested) if tested else (None, None)
        interval = f"{percent(low)} to {percent(high)}" if tested else "-"
        rows.append((name, f"{count:,}", f"{tested:,}" if tested else "-", percent(share), interval))
    return rows


def confusion(run: RunData) -> str:
    """What each class is taken for."""
    labels, predicted = run.predictions["labels"], run.predictions["logits"].argmax(axis=1)
    side = 4.6 if len(run.class_names) <= 12 else 6.0
    chart = svg("Confusion matrix", charts.confusion(labels, predicted, run.class_names), (side, side))
    note = "Of each true class (rows), the percentage taken for each class (columns)."
    return section("Confusion matrix", chart, note, wide=True)


def calibration(run: RunData) -> str:
    """How often it is right by how sure it is, before and, with validation images, after temperature scaling."""
    error = percent(run.result.last_epoch.expected_calibration_error)
    note = (
        f"Bars below the line: the classifier is surer than it is right. Expected calibration error {error} %; the "
        f"figures on the bars are numbers of test images."
    )
    labels = run.predictions["labels"]
    content = svg("Calibration diagram", charts.calibration(labels, run.probabilities))
    temperature = run.calibration.get("temperature")
    if temperature:
        after = percent(run.calibration["test_calibration_error"]["after"])
        note += (
            f" Below it the same with logits divided by {temperature:.3f}, as {run.calibration['validation_images']:,} "
            f"validation images ask for and exports with calibrated probabilities do: error {after} %."
        )
        probabilities = softmax(run.predictions["logits"].astype("float64") / temperature, axis=1)
        content += svg("Calibration diagram after temperature scaling", charts.calibration(labels, probabilities))
    return section("Calibration", content, note)


def mistakes(run: RunData) -> list[str]:
    """The test images on which it was most surely wrong."""
    positions = run.predictions["mistakes"]
    if not len(positions):
        return [section("Most confident mistakes", "<p>There are none.</p>", wide=True)]
    labels, probabilities = run.predictions["labels"], run.probabilities
    figures = []
    for position, image in zip(positions, run.predictions["mistake_images"], strict=True):
        taken = int(probabilities[position].argmax())
        true = run.class_names[labels[position]]
        figures.append(
            Figure(image, f"{true}, taken for {run.class_names[taken]} ({100 * probabilities[position, taken]:.0f} %)")
        )
    return [
        section("Most confident mistakes", gallery(figures), "True class, what it was taken for, and how surely.", True)
    ]
