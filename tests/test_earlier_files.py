"""Files that earlier versions wrote: runs and models load, go on, are evaluated, exported, reported and used."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl import explain, predict
from keras_gssl.export.command import main as export
from keras_gssl.export.deployable import load_deployable
from keras_gssl.files import read_json
from keras_gssl.report.command import main as report
from keras_gssl.runs.data_reload import reload_data
from keras_gssl.runs.evaluation import evaluate
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import read_result
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train

FILES = Path(__file__).parent / "fixtures" / "version_0_1"
MODELS = sorted(path.stem for path in (FILES / "models").glob("*.keras"))


@pytest.fixture
def finished(tmp_path):
    return RunFolder(shutil.copytree(FILES / "finished", tmp_path / "finished"))


def settings_in(folder):
    stored = read_json(folder.settings)
    return TrainingSettings(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()}
    )


@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_method_say_what_they_said(name, tmp_path):
    expected = np.load(FILES / "models" / "expected.npz")
    model = keras.saving.load_model(FILES / "models" / f"{name}.keras")
    np.testing.assert_allclose(model.predict(expected["probe"], verbose=0), expected[name], rtol=1e-4, atol=1e-5)
    for each in (model, keras.saving.load_model(FILES / "models" / f"{name}.keras", compile=False)):
        logits = each.classifier().predict(expected["probe"], verbose=0)
        np.testing.assert_allclose(logits, expected[f"{name}-logits"], rtol=1e-4, atol=1e-4)
    again = tmp_path / "again.keras"
    model.save(again)
    np.testing.assert_allclose(
        keras.saving.load_model(again).predict(expected["probe"], verbose=0), expected[name], 1e-4
    )


def test_models_go_on_training(small_data):
    model = keras.saving.load_model(FILES / "models" / "moe-rewarded.keras")
    history = model.fit(small_data.train(25, model.tasks), epochs=1, verbose=0).history
    assert {"gate_flip", "alignment_lorot", "class_loss"} <= set(history) and np.isfinite(history["loss"]).all()


def test_a_finished_run_is_read_and_evaluated_as_it_was(finished):
    before = finished.metrics.read_text()
    result = read_result(finished.metrics)
    assert json.dumps(result.to_json(), indent=2) + "\n" == before, "the file format is what it was"
    data = reload_data(finished)
    again = evaluate(keras.saving.load_model(finished.last), settings_in(finished), data, finished)
    assert again.last_epoch.accuracy == pytest.approx(result.last_epoch.accuracy, abs=0.01)
    settings = json.loads(json.dumps(again.settings))  # later versions have more, at their defaults
    assert {key: again.data[key] for key in result.data} == result.data
    assert {key: settings[key] for key in result.settings} == result.settings


def test_a_finished_run_is_exported_reported_explained_and_used(finished, tmp_path, capsys, monkeypatch):
    data = gssl.data.digits_lt().head(320, 120)
    assert export("onnx", "", [str(finished.path), "-o", str(tmp_path / "c.onnx")]) == 0
    assert report([str(finished.path)]) == 0
    assert "Gate weights" in finished.report.read_text()
    assert explain.main([str(finished.path), "sample:0", "--methods", "Grad-CAM"]) == 0
    from PIL import Image

    Image.fromarray(data.test_images[0]).save(tmp_path / "digit.png")
    capsys.readouterr()
    for model in (tmp_path / "c.onnx", finished.path):
        assert predict.main([str(model), str(tmp_path / "digit.png"), "--top", "1"]) == 0
    one, other = capsys.readouterr().out.splitlines()
    assert one == other
    wanted = load_deployable(finished.path).logits(data.test_images[:1]).argmax()
    assert f"digit.png: {data.class_names[wanted]} " in one


def test_an_interrupted_run_goes_on(tmp_path):
    folder = RunFolder(shutil.copytree(FILES / "interrupted", tmp_path / "run"))
    rows = folder.read_history()
    train(settings_in(folder), reload_data(folder), folder, resume=True)
    history = folder.read_history()
    assert [row["epoch"] for row in history] == ["0", "1", "2"]
    assert [{name: row[name] for name in rows[0]} for row in history[:2]] == rows  # later versions measure more
    assert read_result(folder.metrics).last_epoch.epoch == 2 and folder.last.exists()
    assert int(keras.saving.load_model(folder.last).optimizer.iterations) == 3 * 5


def test_a_new_run_of_the_same_settings_sees_the_same(tmp_path):
    """Seeds, initial weights, batches and schedules are what they were, up to what another machine rounds."""
    folder = RunFolder(tmp_path / "new")
    train(settings_in(RunFolder(FILES / "finished")), gssl.data.digits_lt().head(320, 120), folder)
    new, old = folder.read_history(), RunFolder(FILES / "finished").read_history()
    assert [name for name in new[0] if name in old[0]] == list(old[0])  # later versions measure more
    for column in ("loss", "class_loss", "lorot_loss", "gate_flip", "learning_rate"):
        assert float(new[0][column]) == pytest.approx(float(old[0][column]), rel=0.02), column
    settings, wanted = read_json(folder.settings), read_json(FILES / "finished" / "settings.json")
    assert {name: settings[name] for name in wanted} == wanted
    about, wanted = read_json(folder.data), read_json(FILES / "finished" / "data.json")
    assert {name: about[name] for name in wanted} == wanted
