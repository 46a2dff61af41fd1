"""From a run to what is shipped: int8 and LiteRT files and their accuracy, prediction by all kinds, explanations."""

import dataclasses
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.special import softmax

import keras_gssl as gssl
from keras_gssl import explain, predict
from keras_gssl.errors import UserError
from keras_gssl.export.command import main
from keras_gssl.export.deployable import load_deployable
from keras_gssl.export.opened import open_exported
from keras_gssl.probabilities import Adjustment
from keras_gssl.report import explanations
from keras_gssl.runs.data_description import reload_data
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.export.test_export import writes_something_else

NAMES = {"onnx": "c.onnx", "litert": "c.tflite", "saved_model": "c"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on digits that is right more often than not."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "digits")
    settings = TrainingSettings(
        backbone="resnet8", epochs=12, batch_size=32, tasks=(), precision="float32", validation_freq=12
    )
    results = train(settings, gssl.data.digits_lt(0.5), folder, report_every=12)
    assert results.last_epoch.accuracy > 0.5
    return folder


@pytest.fixture(scope="module")
def data(run):
    return reload_data(run)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, data):
    """Test images as PNG files, in folders named by class."""
    folder = tmp_path_factory.mktemp("photos")
    for number, (image, label) in enumerate(zip(data.test_images[:40], data.test_labels, strict=False)):
        (folder / data.class_names[label]).mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / data.class_names[label] / f"{number}.png")
    return folder


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
    (photos / "zebra").mkdir()
    Image.new("RGB", (8, 8)).save(photos / "zebra" / "a.png")
    assert main("onnx", "", [str(run.path), "-o", str(tmp_path / "c.onnx"), "--pictures", str(photos)]) == 2
    assert "has the class 'zebra', which the model does not know" in capsys.readouterr().err
    (photos / "zebra" / "a.png").unlink()
    (photos / "zebra").rmdir()


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


def test_explanations(run, photos, tmp_path, capsys):
    picture = next(photos.glob("*/*.png"))
    arguments = [str(run.path), "--embeddings", str(picture), "-o", str(tmp_path), "sample:1", "--methods", "Grad-CAM"]
    assert explain.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"true {picture.parent.name}" in printed
    for name in (f"{picture.stem}-explained.png", "sample_1-explained.png", "embeddings.png"):
        with Image.open(tmp_path / name) as drawn:
            assert drawn.width > 500
    capsys.readouterr()
    mistakes = {"sample:99": "sample:0 to sample:15", "no.png": "Cannot read", "": "Name pictures"}
    for wrong, message in mistakes.items():
        assert explain.main([str(run.path), *filter(None, [wrong])]) == 2
        assert message in capsys.readouterr().err


def test_heat_maps_point_at_what_counts(run):
    model = load_deployable(run.path)
    maps = explanations.heat_maps(model, model.samples[0])
    assert tuple(maps) == explanations.METHODS
    for heat in maps.values():
        assert heat.shape == (32, 32) and heat.min() >= 0 and heat.max() <= 1 and heat.std() > 0.01
    with pytest.raises(UserError, match="received 'magic'"):
        explanations.heat_maps(model, model.samples[0], ["magic"])


@pytest.fixture(scope="module")
def validated(tmp_path_factory):
    """A run with validation images: a third of the test images, given as such."""
    data = gssl.data.digits_lt(0.3)
    images, labels = data.test_images, data.test_labels
    data = dataclasses.replace(
        data, test_images=images[:400], test_labels=labels[:400], validation_images=images[400:],
        validation_labels=labels[400:], source=None,
    )  # fmt: skip
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "validated")
    settings = TrainingSettings(
        backbone="resnet8", epochs=6, batch_size=32, tasks=(), loss="ce", precision="float32", validation_freq=2
    )
    results = train(settings, data, folder, report_every=6)
    assert results.best_epoch.note == "chosen on the validation images, by balanced accuracy"
    return folder, data


def test_the_best_epoch_is_that_of_the_validation_images(validated):
    folder, data = validated
    model = keras.models.load_model(folder.last).classifier(normalised=True)
    kept = dict(np.load(folder.predictions))
    np.testing.assert_array_equal(kept["validation_labels"], data.validation_labels)
    images = data.validation_images
    logits = model(gssl.data.normalise(tf.constant(images), data.mean, data.std), training=False).numpy()
    np.testing.assert_allclose(kept["validation_logits"], logits, atol=2e-3)
    rows = folder.read_history()
    balanced = [float(row["val_balanced_accuracy"]) for row in rows if row["val_balanced_accuracy"]]
    best = json.loads(folder.metrics.read_text())["best_epoch"]["epoch"]
    assert float(rows[best]["val_balanced_accuracy"]) == max(balanced)
    of_class = [(logits.argmax(axis=1) == label)[data.validation_labels == label].mean() for label in range(10)]
    assert balanced[-1] == pytest.approx(np.mean(of_class), abs=0.01)
    accuracy = (logits.argmax(axis=1) == data.validation_labels).mean()
    assert float(rows[-1]["val_accuracy"]) == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize("kind", NAMES)
def test_calibrated_files_give_probabilities_of_the_class_mix_asked_for(validated, kind, tmp_path, capsys):
    folder, data = validated
    plain, adjusted = tmp_path / "plain" / NAMES[kind], tmp_path / "adjusted" / NAMES[kind]
    assert main(kind, "", [str(folder.path), "-o", str(plain)]) == 0
    assert main(kind, "", [str(folder.path), "-o", str(adjusted), "--calibrated", "--prior", "uniform"]) == 0
    said = capsys.readouterr().out
    assert "calibrated: logits divided by" in said and "calibration error on the test images" in said
    known = json.loads(folder.calibration.read_text())["test_calibration_error"]
    assert ("that is worse" in said) == (known["after"] > known["before"])
    known = json.loads(folder.calibration.read_text())
    mix = np.array(known["trained_mix"])
    np.testing.assert_allclose(mix, np.array(data.class_counts) / sum(data.class_counts))
    assert known["test_calibration_error"]["after"] <= known["test_calibration_error"]["before"] + 0.02
    one, other = open_exported(plain), open_exported(adjusted)
    for image in data.test_images[:5]:
        logits = np.log(one.probabilities(image).astype("float64")) / known["temperature"] - np.log(mix)
        np.testing.assert_allclose(other.probabilities(image), softmax(logits), atol=1e-4)
    assert other.thresholds and other.thresholds != one.thresholds


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


def test_a_run_without_validation_images_cannot_be_calibrated(run, tmp_path, capsys, data):
    output = ["-o", str(tmp_path / "c.onnx")]
    assert main("onnx", "", [str(run.path), *output, "--calibrated"]) == 2
    assert "has no validation pictures to calibrate on" in capsys.readouterr().err
    assert main("onnx", "", [str(run.path), *output, "--prior", "1,2"]) == 2
    assert "needs a number for each of the 10 classes, received 2" in capsys.readouterr().err
    picture = tmp_path / "1.png"
    Image.fromarray(data.test_images[0]).save(picture)
    assert predict.main([str(run.path), str(picture), "--precision", "0.9"]) == 2
    assert "does not know from which probability on" in capsys.readouterr().err
    loose = tmp_path / "loose.keras"
    loose.write_bytes(run.classifier.read_bytes())
    assert main("onnx", "", [str(loose), *output, "--prior", "uniform"]) == 2
    assert "There is no calibration.json for" in capsys.readouterr().err


def test_the_calibration_is_that_of_the_last_epoch(validated, tmp_path, capsys):
    folder, _ = validated
    assert open_exported(folder.classifier).thresholds and open_exported(folder.last).thresholds
    assert not open_exported(folder.best).thresholds
    arguments = [str(folder.best), "-o", str(tmp_path / "c.onnx"), "--calibrated"]
    assert main("onnx", "", arguments) == 2
    assert "There is no calibration.json for" in capsys.readouterr().err


def test_a_classifier_of_other_making_is_not_adjusted():
    image = keras.Input((8, 8, 3))
    other = keras.Model(image, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(image)))
    with pytest.raises(UserError, match="Only a classifier that this package made"):
        gssl.export.Deployable(other).adjusted(Adjustment(2.0))
