"""Networks trained first: each a run of its own, to be gone on with, and part of the run that learns from it."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.interruptions import KilledError, kill_in

SMALL = TrainingSettings(backbone="resnet8", epochs=2, batch_size=16, learning_rate=0.05, tasks=(), teachers=2, seed=7)


def test_a_run_trains_its_teachers_and_learns_from_them_wherever_it_is_killed(tmp_path, small_data, monkeypatch):
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    result = train(SMALL, small_data, whole)
    for name in ("2", "killed"):
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_in(patch, name)
            train(SMALL, small_data, killed, resume=killed.settings.exists())
    train(SMALL, small_data, killed, resume=True)

    student, resumed = (keras.models.load_model(folder.last) for folder in (whole, killed))
    for one, other in zip(student.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    teachers = [RunFolder(whole.path / "teachers" / name) for name in "12"]
    assert len(student.distillation.teachers) == 2
    for folder, within in zip(teachers, student.distillation.teachers, strict=True):
        for one, other in zip(keras.models.load_model(folder.classifier).weights, within.weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert "teacher_loss" in whole.read_history()[0] and "teacher_loss" not in teachers[0].read_history()[0]

    settings = [json.loads(folder.settings.read_text()) for folder in (whole, *teachers)]
    assert [(each["teachers"], each["distil"], each["seed"]) for each in settings] == [
        (2, [], 7),
        (0, [], 1007),
        (0, [], 2007),
    ]
    assert result.settings["teachers"] == 2
    times = [json.loads(folder.metrics.read_text())["wall_time_seconds"] for folder in teachers]
    assert result.wall_time_seconds > sum(times) > 0


def test_teachers_are_a_trial_of_a_trial_and_have_the_largest_seeds_too(tmp_path, small_data):
    settings = dataclasses.replace(SMALL, teachers=1, seed=2**32 - 1, quick=True, epochs=200)
    folder = RunFolder(tmp_path / "run")
    train(settings, small_data, folder)
    teacher = RunFolder(folder.path / "teachers" / "1")
    assert json.loads(teacher.settings.read_text())["seed"] == 999
    assert len(teacher.read_history()) == len(folder.read_history()) == 2
