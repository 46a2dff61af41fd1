"""A training that is asked to stop within an epoch goes on at the step after, as if it had not stopped."""

import dataclasses
import os
import signal

import keras
import numpy as np
import pytest

from keras_gssl.interrupts import Terminated
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.presets import preset_values
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train

SMALL = TrainingSettings(backbone="resnet8", epochs=3, batch_size=16, learning_rate=0.05)
SHORT = {"epochs": 3, "plain_epochs": 1, "warmup_epochs": 1, "backbone": "resnet8", "batch_size": 16}
FAST = TrainingSettings(**{**preset_values("fast", 50), **SHORT})


class Ask(keras.callbacks.Callback):
    """Asks the process to end at a step of an epoch, or in its evaluation."""

    def __init__(self, epoch, step=None):
        super().__init__()
        self.at, self.now = (epoch, step), None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.now, batch + 1) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_test_batch_begin(self, batch, logs=None):
        if (self.now, None) == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run of these settings."""
    runs = {}

    def of(settings, data):
        if settings not in runs:
            runs[settings] = RunFolder(tmp_path_factory.mktemp("whole") / "run")
            train(settings, data, runs[settings])
        return runs[settings]

    return of


def same(one, other):
    for name in ("last", "best", "classifier"):
        models = [keras.models.load_model(getattr(folder, name)) for folder in (one, other)]
        for a, b in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_array_equal(a, b)
        if name == "last":
            for a, b in zip(*(model.optimizer.variables for model in models), strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy())
    for a, b in zip(one.read_history(), other.read_history(), strict=True):
        assert {**a, "seconds": ""} == {**b, "seconds": ""}


@pytest.mark.parametrize(
    ("settings", "moments"),
    [
        (SMALL, [(0, 1), (1, None)]),
        pytest.param(SMALL, [(1, 3), (1, 4)], marks=pytest.mark.torture),
        pytest.param(
            dataclasses.replace(SMALL, **METHODS["ce"], freeze_epochs=1), [(0, 2), (1, 1)], marks=pytest.mark.torture
        ),
        (dataclasses.replace(FAST, retrain_epochs=1), [(2, 1)]),
    ],
    ids=["steps and evaluation", "twice in an epoch", "frozen", "fast"],
)
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, small_data, whole, settings, moments, capsys):
    folder = RunFolder(tmp_path / "run")
    steps = -(-len(small_data.train_labels) // settings.batch_size)
    for number, (epoch, step) in enumerate(moments):
        with pytest.raises(Terminated):
            train(settings, small_data, folder, resume=number > 0, callbacks=[Ask(epoch, step)])
        printed = capsys.readouterr().out
        assert f"Stopped after step {step or steps} of epoch {epoch + 1}." in printed
        assert len(list(folder.path.glob("paused*"))) == 2
        if number:
            assert f"after step {moments[number - 1][1] or steps} of epoch" in printed
    train(settings, small_data, folder, resume=True)
    same(folder, whole(settings, small_data))
    assert not list(folder.path.glob("paused*")) and not list(folder.path.glob("partial*"))


def test_a_damaged_state_within_an_epoch_falls_back_to_the_last_finished_one(tmp_path, small_data, whole, capsys):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Terminated):
        train(SMALL, small_data, folder, callbacks=[Ask(1, 2)])
    (state,) = folder.path.glob("paused-*.keras")
    state.write_bytes(state.read_bytes()[:1000])
    train(SMALL, small_data, folder, resume=True)
    said = capsys.readouterr().out
    assert f"{state} is not what the run wrote: the run goes on from its last finished epoch." in said
    assert "after 1 of 3 epochs" in said
    same(folder, whole(SMALL, small_data))
