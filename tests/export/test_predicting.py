"""Classifying pictures with an exported file, and saying "unsure"."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from keras_gssl import predict
from keras_gssl.export.command import main
from keras_gssl.export.opened import open_exported
from tests.export.names import NAMES


def test_every_kind_of_file_predicts_the_same(run, photos, tmp_path, capsys):
    for kind, name in NAMES.items():
        assert main(kind, "", [str(run.path), "-o", str(tmp_path / name), "--probabilities"]) == 0
    pictures = [str(path) for path in sorted(photos.glob("*/*.png"))[:6]]
    capsys.readouterr()
    said = []
    for model in (*(tmp_path / name for name in NAMES.values()), run.classifier, run.last, run.path):
        assert predict.main([str(model), *pictures]) == 0
        said.append(capsys.readouterr().out)
    assert said[0].count("\n") == 6 and said[0].startswith(f"{pictures[0]}: ")
    assert len(set(said)) == 1
    right = sum(f"{path}: {path.split('/')[-2]} " in said[0] for path in pictures)
    assert right >= 3


def test_predicting_with_onnx_imports_no_tensorflow(run, photos, tmp_path):
    assert main("onnx", "", [str(run.path), "-o", str(tmp_path / "c.onnx")]) == 0
    code = (
        "import runpy, sys; sys.argv = ['-m', sys.argv[1], sys.argv[2]]; sys.modules['tensorflow'] = None; "
        "sys.modules['keras'] = None; sys.orig_argv = ['python', '-m', 'keras_gssl.predict']; "
        "runpy.run_module('keras_gssl.predict', run_name='__main__', alter_sys=False)"
    )
    picture = str(next(photos.glob("*/*.png")))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "c.onnx"), picture], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{picture}: ") and not done.stderr
    plain = subprocess.run(
        [sys.executable, "-m", "keras_gssl.predict", str(tmp_path / "c.onnx"), picture],
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.stdout == done.stdout


def test_mistakes_in_predicting_are_one_line(run, photos, tmp_path, capsys):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    (tmp_path / "bad.tflite").write_bytes(b"no model")
    picture = str(next(photos.glob("*/*.png")))
    for model, message in (
        ("none.onnx", "There is no file or folder"),
        ("bad.onnx", "onnxruntime cannot load"),
        ("bad.tflite", "LiteRT cannot load"),
        (".", "is not a model"),
    ):
        assert predict.main([str(tmp_path / model), picture]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
    assert predict.main([str(run.path), "nothing.png", picture]) == 2
    printed = capsys.readouterr()
    assert "Cannot read the picture nothing.png" in printed.err and picture in printed.out, "the others are classified"


def test_predict_abstains_below_the_threshold(validated, tmp_path, capsys):
    folder, data = validated
    path = tmp_path / "c.onnx"
    assert main("onnx", "", [str(folder.path), "-o", str(path), "--calibrated"]) == 0
    files = []
    for number, image in enumerate(data.validation_images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
        files.append(str(tmp_path / f"{number}.png"))
    thresholds = open_exported(path).thresholds
    wished = max(float(each) for each, threshold in thresholds.items() if threshold is not None and threshold > 0.3)
    capsys.readouterr()
    assert predict.main([str(path), *files, "--precision", str(wished)]) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [
        (line.split(": ")[1].split()[0], label) for line, label in zip(lines, data.validation_labels, strict=True)
    ]
    named = [(data.class_names.index(name), label) for name, label in answers if name != "unsure,"]
    assert len(named) >= 10
    assert np.mean([name == label for name, label in named]) >= wished - 0.03  # PNG pixels are the same; ties round
    assert predict.main([str(path), files[0], "--min-probability", "1"]) == 0
    assert ": unsure, below 100.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "0.2"], "a number from 0.5 to 0.99"),
        (["--min-probability", "2"], "--min-probability must be between 0 and 1"),
    ],
)
def test_thresholds_that_cannot_be_met_are_named(validated, data, arguments, message, tmp_path, capsys):
    picture = tmp_path / "1.png"
    Image.fromarray(data.test_images[0]).save(picture)
    assert predict.main([str(validated[0].path), str(picture), *arguments]) == 2
    assert message in capsys.readouterr().err
