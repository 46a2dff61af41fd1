"""A run from settings to files: what is written, and that a killed run goes on as if nothing had happened."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.backend import save
from keras_gssl.errors import UserError
from keras_gssl.recipes import image_folder
from keras_gssl.recipes.run_dirs import choose_folder
from keras_gssl.runs.building import epoch_length
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.interruptions import KilledAt, KilledError, kill_in
from tests.networks import small_backbone
from tests.pictures import make_folder

SMALL = TrainingSettings(backbone="resnet8", epochs=3, batch_size=16, learning_rate=0.05)


def test_a_run_leaves_everything(tmp_path, small_data):
    folder = RunFolder(tmp_path / "run")
    results = train(SMALL, small_data, folder)
    for path in (
        folder.settings,
        folder.data,
        folder.samples,
        folder.last,
        folder.best,
        folder.classifier,
        folder.metrics,
    ):
        assert path.exists(), path
    assert list(folder.tensorboard.rglob("events*"))
    assert not list(folder.path.glob("checkpoint*")) and not list(folder.path.glob("*partial*"))
    written = json.loads(folder.metrics.read_text())
    assert written == json.loads(json.dumps(results.to_json()))
    rows = folder.read_history()
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(written["last_epoch"]["accuracy"], abs=1e-6)
    best = max(float(row["val_accuracy"]) for row in rows)
    assert written["best_epoch"]["accuracy"] == pytest.approx(best, abs=1e-6)
    assert not written["full_length"]
    classifier = keras.models.load_model(folder.classifier)
    images = next(iter(small_data.test()))[0]
    assert (classifier.predict(images, verbose=0).argmax(1) == small_data.test_labels).mean() == pytest.approx(
        written["last_epoch"]["accuracy"]
    )


@pytest.mark.parametrize("loss", ["ldam", pytest.param("ce", marks=pytest.mark.torture)])
def test_same_seed_same_run(tmp_path, small_data, loss):
    settings = dataclasses.replace(SMALL, epochs=1, loss=loss, validation_freq=5)
    runs = [train(settings, small_data, RunFolder(tmp_path / name)) for name in "ab"]
    assert runs[0].last_epoch == runs[1].last_epoch
    models = [keras.models.load_model(RunFolder(tmp_path / name).last) for name in "ab"]
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_killed_and_resumed_equals_uninterrupted(tmp_path):
    """SIGKILL once an epoch is saved, through the command line."""
    photos = make_folder(tmp_path / "photos")
    command = [sys.executable, "-m", "keras_gssl.recipes.image_folder", str(photos), "--image-size", "32"]
    command += ["--backbone", "resnet8", "--batch-size", "4", "--epochs", "4", "--seed", "5", "--run-dir"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    killed = subprocess.Popen([*command, str(tmp_path / "killed")], **options)
    while killed.poll() is None and not list((tmp_path / "killed").glob("checkpoint-*.keras")):
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "metrics.json").exists()

    resumed = subprocess.run([*command, str(tmp_path / "killed"), "--resume"], check=False, **options)
    assert resumed.returncode == 0, resumed.stdout
    assert re.search(r"after \d+ of 4 epochs", resumed.stdout)
    image_folder.main([*command[3:], str(tmp_path / "whole")])
    models = [keras.models.load_model(tmp_path / name / "last.keras") for name in ("killed", "whole")]
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(models[0].optimizer.variables, models[1].optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    histories = [RunFolder(tmp_path / name).read_history() for name in ("killed", "whole")]
    for one, other in zip(*histories, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_for_two_epochs(tmp_path, small_data, method, capsys):
    settings = dataclasses.replace(SMALL, epochs=2, **METHODS[method])
    results = train(settings, small_data, RunFolder(tmp_path / "run"))
    assert results.method == method
    assert np.isfinite(float(RunFolder(tmp_path / "run").read_history()[-1]["loss"]))
    classifier = keras.models.load_model(tmp_path / "run" / "classifier.keras")
    assert classifier.output_shape == (None, 3)
    assert ("Transferred 35 tensors" in capsys.readouterr().out) == (method == "ssp")


def test_a_run_begun_on_another_machine_goes_on_as_one_of_this(tmp_path, small_data, monkeypatch):
    """Begun on a GPU, where an epoch is one execution and bfloat16 is faster; the model's file says so."""
    settings = dataclasses.replace(SMALL, epochs=3)
    folder = RunFolder(tmp_path / "run")
    with monkeypatch.context() as gpu, pytest.raises(KilledError):
        gpu.setattr("keras_gssl.runs.building.steps_per_execution", epoch_length)
        gpu.setattr("keras_gssl.runs.precision.resolve_precision", lambda precision: "mixed_bfloat16")
        train(settings, small_data, folder, callbacks=[KilledAt(2)])
    _, checkpoint = folder.checkpoint()
    assert keras.models.load_model(checkpoint).steps_per_execution == epoch_length(settings, small_data) > 1
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append((self.model.steps_per_execution, self.model.jit_compile))

    monkeypatch.setattr("keras_gssl.runs.precision.resolve_precision", lambda precision: "float32")
    results = train(settings, small_data, folder, resume=True, callbacks=[Look()])
    assert results.precision == "mixed_bfloat16"
    assert seen == [(1, bool(tf.config.list_physical_devices("GPU")))]


def test_a_run_killed_in_the_pretraining_goes_on(tmp_path, small_data, monkeypatch):
    settings = dataclasses.replace(SMALL, epochs=2, **METHODS["ssp"])
    whole = RunFolder(tmp_path / "whole")
    train(settings, small_data, whole)
    killed = RunFolder(tmp_path / "killed")
    kill_in(monkeypatch, "pretraining")
    with pytest.raises(KilledError):
        train(settings, small_data, killed)
    monkeypatch.undo()
    train(settings, small_data, killed, resume=True)
    models = [keras.models.load_model(folder.last) for folder in (whole, killed)]
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_in_another_precision_leaves_the_policy_as_it_was(tmp_path, small_data):
    results = train(
        dataclasses.replace(SMALL, epochs=1, precision="mixed_bfloat16"), small_data, RunFolder(tmp_path / "run")
    )
    assert results.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_a_run_is_not_written_over(tmp_path):
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a run. Add --resume"):
        choose_folder("x", str(tmp_path), resume=False)
    with pytest.raises(UserError, match="Nothing to resume"):
        choose_folder("x", str(tmp_path / "new"), resume=True)


def test_saving_does_not_make_an_optimizer_each_time(tmp_path, make_model, monkeypatch):
    """Keras would, and 70 KiB of memory stay with every one: 350 MiB in a run of 5,000 epochs."""
    model = make_model(backbone=small_backbone())
    model.optimizer.build(model.trainable_variables)
    save(model, tmp_path / "first.keras")
    monkeypatch.setattr(keras.optimizers.Optimizer, "__init__", lambda *_: pytest.fail("made anew"))
    save(model, tmp_path / "second.keras")
    monkeypatch.undo()
    assert keras.models.load_model(tmp_path / "second.keras").optimizer.momentum == 0.9


def test_default_folders_are_numbered(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(choose_folder("x", None, False).path) == "runs/x"
    (tmp_path / "runs/x").mkdir(parents=True)
    (tmp_path / "runs/x/settings.json").write_text("{}")
    assert str(choose_folder("x", None, False).path) == "runs/x-2"
    assert str(choose_folder("x", None, True).path) == "runs/x"


def test_callbacks_of_the_user_take_part(tmp_path, small_data):
    class Counter(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            assert {"loss", "val_accuracy", "learning_rate", "seconds"} <= set(logs)
            self.epochs += 1

    counter = Counter()
    stopping = keras.callbacks.EarlyStopping("val_loss", mode="max", patience=0, restore_best_weights=True)
    settings = TrainingSettings(backbone="resnet8", epochs=9, batch_size=25, tasks=(), warmup_epochs=0)
    folder = RunFolder(tmp_path / "run")
    result = train(settings, small_data, folder, callbacks=[counter, stopping])
    assert counter.epochs == result.last_epoch.epoch + 1 < 9, "it stopped early"
    kept = keras.saving.load_model(folder.last).classifier().predict(small_data.test(), verbose=0)
    with np.load(folder.predictions) as stored:
        np.testing.assert_allclose(stored["logits"], kept, rtol=1e-3, atol=1e-3)
    again = train(settings, small_data, folder, resume=True)
    assert again.last_epoch.epoch == result.last_epoch.epoch, "a run that has ended is not gone on with"


def test_a_run_that_diverges_keeps_its_last_good_state_and_says_where(tmp_path, small_data):
    """The rate rises from 0.05 to beyond what any network bears."""

    class Rise(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.05 if epoch < 2 else 1e30

    folder = RunFolder(tmp_path / "run")
    with pytest.raises(gssl.DivergedError, match=r"The loss is (nan|inf) in epoch 3, step \d+") as caught:
        train(SMALL, small_data, folder, callbacks=[Rise()])
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert sorted(path.name for path in folder.path.glob("checkpoint-*")) == [
        "checkpoint-0001.keras",
        "checkpoint-0002.keras",
    ]
    assert len(folder.read_history()) == 2 and not folder.metrics.exists() and not folder.report.exists()
    assert np.isfinite(keras.models.load_model(folder.path / "checkpoint-0002.keras").get_weights()[0]).all()
