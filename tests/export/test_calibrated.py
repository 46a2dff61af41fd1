"""Files whose probabilities are calibrated on validation images, for a class mix of one's own."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.special import softmax

import keras_gssl as gssl
from keras_gssl import predict
from keras_gssl.errors import UserError
from keras_gssl.export.command import main
from keras_gssl.export.opened import open_exported
from keras_gssl.probabilities import Adjustment, precision_thresholds
from tests.export.names import NAMES


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


def test_rare_classes_can_be_named_more_often(validated, tmp_path, capsys):
    """As the report says, of calibrated files and of other epochs' too."""
    folder, data = validated
    arguments = [str(folder.path), "--towards-rare", "0.3"]
    assert main("onnx", "", [*arguments, "-o", str(tmp_path / "c.onnx")]) == 0
    assert "rare classes are named more often: strength 0.3" in capsys.readouterr().out
    assert main("onnx", "", [*arguments, "-o", str(tmp_path / "calibrated.onnx"), "--calibrated"]) == 0
    assert "on the test images, with that alone," in capsys.readouterr().out
    counts, kept = np.array(data.class_counts), np.load(folder.predictions)
    leaning = kept["logits"] - 0.3 * np.log(counts)
    assert (leaning.argmax(axis=1) != kept["logits"].argmax(axis=1)).any()
    one, other = (open_exported(tmp_path / name) for name in ("c.onnx", "calibrated.onnx"))
    temperature = json.loads(folder.calibration.read_text())["temperature"]
    for image, logits in zip(data.test_images[:5], leaning, strict=False):
        np.testing.assert_allclose(one.probabilities(image), softmax(logits), atol=1e-4)
        np.testing.assert_allclose(other.probabilities(image), softmax(logits / temperature), atol=1e-4)
    leaning = kept["validation_logits"] - 0.3 * np.log(counts)
    wanted = precision_thresholds(kept["validation_labels"], leaning)
    assert {key: value and round(value, 4) for key, value in one.thresholds.items()} == {
        key: value and round(value, 4) for key, value in wanted.items()
    }
    best = [str(folder.best), "-o", str(tmp_path / "best.onnx"), "--towards-rare", "-0.1"]
    assert main("onnx", "", best) == 0
    assert "rare classes are named less often: strength -0.1" in capsys.readouterr().out


def test_strengths_that_cannot_be_are_named(validated, tmp_path, capsys):
    folder, _ = validated
    loose = tmp_path / "loose.keras"
    loose.write_bytes(folder.classifier.read_bytes())
    for source, more, message in (
        (folder.path, ["--towards-rare", "nan"], "must be a number, received nan"),
        (folder.path, ["--towards-rare", "0.2", "--prior", "training"], "give one of them, received both"),
        (loose, ["--towards-rare", "0.2"], "there is no data.json"),
    ):
        assert main("onnx", "", [str(source), "-o", str(tmp_path / "no.onnx"), *more]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


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
