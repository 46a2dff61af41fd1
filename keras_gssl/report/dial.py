"""The section of a report on what is to be had for rare classes, and what it costs the frequent ones."""

from __future__ import annotations

from keras_gssl.class_groups import GROUPS
from keras_gssl.metrics import evaluate_logits
from keras_gssl.probabilities import rarity_offsets
from keras_gssl.report.page import percent, section
from keras_gssl.report.run_data import RunData
from keras_gssl.report.tables import table

STRENGTHS = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.5)
FIGURES = ("accuracy", "balanced_accuracy", *GROUPS)


def rare_or_frequent(run: RunData) -> str:
    """What each strength towards rare classes would give on the test images."""
    labels, logits, counts = run.predictions["labels"], run.predictions["logits"], run.about["class_counts"]
    rows = []
    for strength in STRENGTHS:
        scores = evaluate_logits(labels, logits + rarity_offsets(counts, strength), counts)
        name = "0, as trained" if strength == 0 else f"{strength:g}"
        rows.append((name, *(percent(scores[figure]) for figure in FIGURES)))
    note = (
        f"In percent, on the {len(labels):,} test images, if rare classes were named more often (above 0) or less "
        "often. Nothing has to be trained for it: export the classifier with the strength towards rare classes that "
        "suits you. The figure of one that was chosen here is a little too good."
    )
    columns = ("strength", "accuracy", "balanced", *GROUPS)
    return section("Rare or frequent classes", table(columns, rows), note, wide=True)
