"""What a finished run prints."""

import dataclasses

import numpy as np

from keras_gssl.metrics import evaluate_logits
from keras_gssl.recipes.results import format_results
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult, Scores


def scores(epoch, right):
    labels = np.repeat([0, 1], 50)
    found = np.where(np.arange(100) % 100 < right, labels, 1 - labels)
    return Scores(epoch, **evaluate_logits(labels, np.eye(2)[found], [200, 10]))


RESULT = RunResult(
    last_epoch=scores(2, 90), best_epoch=scores(0, 92), method="ce", settings={}, full_length=True, milestones={},
    data={}, wall_time_seconds=60.0, versions={}, hardware="none",
)  # fmt: skip


def test_epochs_are_counted_as_people_count_and_nothing_is_certain(tmp_path):
    told = format_results(RESULT, RunFolder(tmp_path / "run"))
    assert "last epoch (3)" in told and "best epoch (1)" in told
    assert "With 100 other test images of the same kind the last epoch's accuracy would lie between 82." in told
    assert f"keras-gssl export onnx {tmp_path}/run -o classifier.onnx" in told and "points below" not in told


def test_a_training_that_ended_far_below_its_best_is_not_shipped_unnoticed(tmp_path):
    told = format_results(dataclasses.replace(RESULT, last_epoch=scores(2, 50)), RunFolder(tmp_path / "run"))
    assert told.endswith("is 42.0 points below epoch 1: train for longer, or export best.keras of the run folder.")
