"""From a run to the files that are shipped: float and int8, their accuracy, and what is refused."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import keras_gssl as gssl
from keras_gssl.export.command import main
from keras_gssl.export.opened import open_exported
from keras_gssl.runs.data_reload import reload_data
from tests.export.names import NAMES
from tests.export.test_export import writes_something_else


def test_the_data_of_a_run_can_be_loaded_again(run, data):
    np.testing.assert_array_equal(data.test_images, gssl.data.digits_lt(0.5).test_images)
    with np.load(run.predictions) as kept:
        np.testing.assert_array_equal(kept["labels"], data.test_labels)
        accuracy = (kept["logits"].argmax(axis=1) == data.test_labels).mean()
    assert accuracy == pytest.approx(json.loads(run.metrics.read_text())["last_epoch"]["accuracy"])


@pytest.mark.parametrize("kind", NAMES)
def test_float_files_are_as_accurate_as_keras(run, kind, tmp_path, capsys):
    path = tmp_path / NAMES[kind]
    assert main(kind, "", [str(run.path), "-o", str(path)]) == 0
    printed = capsys.readouterr().out
    after, before = re.search(r"accuracy ([\d.]+) % on 697 test images, Keras ([\d.]+) %", printed).groups()
    assert after == before
    assert re.search(r"latency +[\d.]+ ms for one image", printed) and "MiB" in printed


@pytest.mark.parametrize("kind", ["onnx", "litert"])
def test_int8_files_are_smaller_and_about_as_accurate(run, kind, tmp_path, capsys):
    small, large = tmp_path / f"small-{NAMES[kind]}", tmp_path / NAMES[kind]
    assert main(kind, "", [str(run.path), "-o", str(large)]) == 0
    assert main(kind, "", [str(run.path), "-o", str(small), "--int8", "--max-drop", "2"]) == 0
    assert "in int8, calibrated on" in capsys.readouterr().out
    assert small.stat().st_size < 0.6 * large.stat().st_size
    pixels = reload_data(run).test_images[:50]
    one, other = open_exported(small).run(pixels), open_exported(large).run(pixels)
    assert np.abs(one - other).max() > 1e-3, "it is really quantised"
    assert (one.argmax(axis=1) == other.argmax(axis=1)).mean() > 0.9


@pytest.mark.parametrize("kind", ["onnx", "litert"])
def test_an_int8_file_that_is_too_inaccurate_is_not_kept(run, data, kind, tmp_path, capsys, monkeypatch):
    """Its values differ from Keras' anyway, so its accuracy tells: here two classes are swapped."""
    writes_something_else(monkeypatch, "the order of classes")
    arguments = [str(run.path), "-o", str(tmp_path / NAMES[kind]), "--int8", "--max-drop", "2"]
    assert main(kind, "", arguments) == 1
    error = capsys.readouterr().err
    assert re.search(r"it falls by [\d.]+ points, at most 2 were allowed .*was not kept", error), error
    assert not list(tmp_path.iterdir())


def test_normalisation_left_to_the_caller_is_that_of_the_run(run, tmp_path, capsys):
    arguments = [str(run.path), "-o", str(tmp_path / "c.onnx"), "--no-normalisation", "--input", "float32"]
    assert main("onnx", "", arguments) == 0
    printed = capsys.readouterr().out
    last = json.loads(run.metrics.read_text())["last_epoch"]["accuracy"]
    assert f"accuracy {100 * last:.2f} %" in printed and "normalised pixels" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "classifier"], "-o expects the name of a .onnx file, received"),
        (["-o", "folder.onnx"], "received the folder"),
        (["-o", "file/c.onnx"], "File exists"),
        (["-o", "c.onnx", "--data-dir", "x"], "does not come from a folder: leave data_dir out"),
    ],
)
def test_mistakes_in_exporting_are_one_line(run, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").write_text("")
    assert main("onnx", "", [str(run.path), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_int8_needs_images(run, photos, tmp_path, capsys):
    bare = tmp_path / "bare.keras"
    bare.write_bytes(run.classifier.read_bytes())
    arguments = [str(bare), "-o", str(tmp_path / "c.onnx"), "--int8", "--mean", "0.3", "--std", "0.2"]
    assert main("onnx", "", arguments) == 2
    assert "--int8 needs images to calibrate and to test with" in capsys.readouterr().err
    assert main("onnx", "", [*arguments, "--pictures", str(photos), "--max-drop", "100"]) == 0
    more = shutil.copytree(photos, tmp_path / "photos")
    (more / "zebra").mkdir()
    Image.new("RGB", (8, 8)).save(more / "zebra" / "a.png")
    assert main("onnx", "", [str(run.path), "-o", str(tmp_path / "c.onnx"), "--pictures", str(more)]) == 2
    assert "has the class 'zebra', which the model does not know" in capsys.readouterr().err
