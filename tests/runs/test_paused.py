"""A training that was stopped within an epoch, or killed between two, goes on as if nothing had happened."""

import dataclasses

import keras
import numpy as np
import pytest

from keras_gssl.interrupts import Terminated
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.presets import preset_values
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.interruptions import Ask, KilledAt, KilledError

SMALL = TrainingSettings(backbone="resnet8", epochs=3, batch_size=16, learning_rate=0.05)


def short(recipe, **changed):
    """A recipe with everything that it has, in four epochs."""
    small = {"backbone": "resnet8", "epochs": 4, "warmup_epochs": 1, "batch_size": 25, "learning_rate": 0.02}
    return TrainingSettings(**{**preset_values(recipe, 200), **small, **changed})


BEST = short("best", plain_epochs=1, retrain_epochs=2)
LEVELS = short("fast", plain_epochs=0, steering="levels", draw="apart")


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
        pytest.param(BEST, [(0, 1), (1, None), (3, 0)], id="best"),
        pytest.param(LEVELS, [(3, 0)], id="levels"),
        pytest.param(SMALL, [(0, 1), (1, None)], id="paper", marks=pytest.mark.torture),
        pytest.param(SMALL, [(1, 3), (1, 4)], id="twice in an epoch", marks=pytest.mark.torture),
        pytest.param(
            dataclasses.replace(SMALL, **METHODS["ce"], freeze_epochs=1), [(0, 2), (1, 1)], id="frozen",
            marks=pytest.mark.torture,
        ),
        pytest.param(short("fast", plain_epochs=1, retrain_epochs=1), [(2, 1)], id="fast", marks=pytest.mark.torture),
    ],
)  # fmt: skip
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, small_data, whole, settings, moments, monkeypatch, capsys):
    """A moment: the epoch, and the step after which it is asked to stop; None in its evaluation, 0 killed before it."""
    # XLA takes a minute for so many branches, and is not what is tried here.
    monkeypatch.setattr("keras.src.trainers.trainer.model_supports_jit", lambda model: False)
    folder = RunFolder(tmp_path / "run")
    steps = -(-len(small_data.train_labels) // settings.batch_size)
    expected = ""
    for epoch, step in moments:
        killed = step == 0
        with pytest.raises(KilledError if killed else Terminated):
            train(
                settings, small_data, folder, resume=bool(expected),
                callbacks=[KilledAt(epoch) if killed else Ask(epoch, step)],
            )  # fmt: skip
        printed = capsys.readouterr().out
        assert expected in printed
        if killed:
            expected = f"after {epoch} of {settings.epochs} epochs"
            continue
        assert f"Stopped after step {step or steps} of epoch {epoch + 1}." in printed
        assert len(list(folder.path.glob("paused*"))) == 2
        expected = f"after step {step or steps} of epoch {epoch + 1}"
    results = train(settings, small_data, folder, resume=True)
    assert np.isfinite(results.last_epoch.accuracy) and results.settings["recipe"] == settings.recipe
    assert expected in capsys.readouterr().out
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
