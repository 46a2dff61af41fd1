"""ONNX and SavedModel: interface, equality with Keras, and that a wrong file is not kept."""

import dataclasses
import json
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.errors import UserError
from keras_gssl.export import litert, saved_model
from keras_gssl.export.command import main
from keras_gssl.export.deployable import Deployable
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.precision import precision_scope
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'keras_gssl[export]' to run this")
onnx = pytest.importorskip("onnx")
tf2onnx = pytest.importorskip("tf2onnx")
SCRIPTS = Path(__file__).parents[2] / "export"


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_data):
    """A finished run folder."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "small")
    train(TrainingSettings(backbone="resnet8", epochs=1, batch_size=25), small_data, folder)
    return folder


def expected(run, pixels, probabilities=False):
    data = json.loads(run.data.read_text())
    normalised = (pixels / 255 - data["mean"]) / data["std"]
    logits = keras.models.load_model(run.classifier).predict(normalised.astype("float32"), verbose=0)
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits)) if probabilities else logits


@pytest.mark.parametrize(("input_type", "probabilities"), [("uint8", False), ("float32", True)])
def test_onnx_interface_and_values(tmp_path, run, small_data, input_type, probabilities):
    arguments = [str(run.path), "-o", str(tmp_path / "c.onnx"), "--input", input_type]
    assert main("onnx", "", arguments + ["--probabilities"] * probabilities) == 0
    session = onnxruntime.InferenceSession(tmp_path / "c.onnx")
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.shape) == ("image", ["batch", 16, 16, 3])
    assert given.type == f"tensor({'uint8' if input_type == 'uint8' else 'float'})"
    assert (result.name, result.shape) == ("probabilities" if probabilities else "logits", ["batch", 3])
    for count in (1, 5):
        pixels = small_data.test_images[:count].astype(input_type)
        got = session.run(None, {"image": pixels})[0]
        np.testing.assert_allclose(got, expected(run, pixels, probabilities), rtol=1e-3, atol=1e-4)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["class_names"]) == ["red", "green", "blue"]
    assert json.loads(metadata["normalisation"])["mean"] == pytest.approx(small_data.mean)
    operations = {node.op_type for node in onnx.load(tmp_path / "c.onnx").graph.node}
    assert "BatchNormalization" not in operations  # folded into the convolutions
    assert list(tmp_path.iterdir()) == [tmp_path / "c.onnx"]


def test_saved_model_values(tmp_path, run, small_data):
    assert main("saved_model", "", [str(run.path), "-o", str(tmp_path / "model")]) == 0
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    pixels = small_data.test_images[:5]
    np.testing.assert_allclose(served(image=tf.constant(pixels))["logits"], expected(run, pixels), rtol=1e-3, atol=1e-4)
    metadata = json.loads((tmp_path / "model/assets.extra/metadata.json").read_text())
    assert json.loads(metadata["class_names"]) == ["red", "green", "blue"]


@pytest.mark.parametrize("name", ["to_onnx", "to_saved_model", "to_litert"])
def test_scripts_run_as_they_are(name, capsys, monkeypatch, run, tmp_path):
    script = str(SCRIPTS / f"{name}.py")
    monkeypatch.setattr("sys.argv", [script, "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(script, run_name="__main__")
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "RUN_OR_MODEL" in shown and f"python export/{name}.py" in shown
    monkeypatch.setattr("sys.argv", [script, str(tmp_path / "no run"), "-o", str(tmp_path / "c.onnx")])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(script, run_name="__main__")
    assert caught.value.code == 2 and capsys.readouterr().err.startswith("error: ")


def test_whole_model_and_bare_classifier_can_be_exported(tmp_path, run, capsys):
    assert main("onnx", "", [str(run.last), "-o", str(tmp_path / "a.onnx")]) == 0
    bare = tmp_path / "bare.keras"
    bare.write_bytes(run.classifier.read_bytes())
    assert main("onnx", "", [str(bare), "-o", str(tmp_path / "b.onnx")]) == 2
    assert "give mean and std" in capsys.readouterr().err
    assert main("onnx", "", [str(bare), "-o", str(tmp_path / "b.onnx"), "--mean", "0.5", "--std", "0.5"]) == 0
    assert main("onnx", "", [str(bare), "-o", str(tmp_path / "c.onnx"), "--input", "float32"]) == 0


def altered(model, how):
    """The same classifier with a fault of the kind that an exporter could make."""
    if how == "a normalisation constant":
        return dataclasses.replace(model, mean=(model.mean[0] + 0.02, *model.mean[1:]))
    classifier = keras.models.clone_model(model.classifier)
    weights = model.classifier.get_weights()
    if how == "a weight":
        weights[0] = weights[0] * np.where(np.arange(weights[0].shape[-1]) == 3, 1.05, 1)
    else:
        weights[-1] = weights[-1][..., [1, 0, *range(2, weights[-1].shape[-1])]]
    classifier.set_weights(weights)
    return dataclasses.replace(model, classifier=classifier)


def writes_something_else(monkeypatch, how):
    """Make every exporter write an altered classifier, while it compares with the right one."""
    convert, write = tf2onnx.convert.from_function, saved_model.write_bare
    given = {}

    def function(self, *arguments):
        given["wrong"] = Deployable_function(altered(self, how), *arguments)
        return Deployable_function(self, *arguments)

    def convert_another(_, input_signature, **options):
        @tf.function(input_signature=input_signature)
        def named(image):
            return {"logits": tf.identity(given["wrong"](image), name="logits")}

        return convert(named, input_signature=input_signature, **options)

    def write_another(model, serve, *arguments):
        return write(altered(model, how), given["wrong"], *arguments)

    Deployable_function = Deployable.function  # noqa: N806
    monkeypatch.setattr(Deployable, "function", function)
    monkeypatch.setattr(tf2onnx.convert, "from_function", convert_another)
    monkeypatch.setattr(saved_model, "write_bare", write_another)
    monkeypatch.setattr(litert, "write_bare", write_another)


SLOWER = pytest.mark.torture  # the comparison is the same for all kinds; every kind is tried with one fault at least


@pytest.mark.parametrize(
    ("kind", "name", "how"),
    [
        ("onnx", "c.onnx", "a weight"),
        ("onnx", "c.onnx", "a normalisation constant"),
        ("onnx", "c.onnx", "the order of classes"),
        ("saved_model", "c", "a normalisation constant"),
        pytest.param("saved_model", "c", "a weight", marks=SLOWER),
        pytest.param("saved_model", "c", "the order of classes", marks=SLOWER),
        ("litert", "c.tflite", "a weight"),
        pytest.param("litert", "c.tflite", "a normalisation constant", marks=SLOWER),
        pytest.param("litert", "c.tflite", "the order of classes", marks=SLOWER),
    ],
)
def test_a_file_that_differs_is_not_kept(tmp_path, run, kind, name, how, monkeypatch, capsys):
    writes_something_else(monkeypatch, how)
    assert main(kind, "", [str(run.path), "-o", str(tmp_path / name)]) == 1
    assert "differs from Keras by" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_mixed_precision_model_exports_as_float32(tmp_path):
    with precision_scope("mixed_bfloat16"):
        model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, (16, 16, 3)), 3)
    path = gssl.export.to_onnx(model.classifier(), tmp_path / "c.onnx", input_type="float32")
    types = {value.data_type for value in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.FLOAT in types and onnx.TensorProto.BFLOAT16 not in types


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tmp}/none"], "is not there"),
        (["{tmp}"], "without classifier.keras"),
        (["{run}", "--mean", "0.5"], "both --mean and --std"),
        (["{run}", "--mean", "0.5", "--std", "0"], "must be above 0"),
        (["{run}", "--no-normalisation"], "the input type float32"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(tmp_path, run, arguments, message, capsys):
    arguments = [each.format(tmp=tmp_path, run=run.path) for each in arguments]
    assert main("onnx", "", [*arguments, "-o", str(tmp_path / "c.onnx")]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error and len(error.splitlines()) == 1


def test_an_other_folder_is_not_written_over(tmp_path, run):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(UserError, match="is not a SavedModel"):
        gssl.export.to_saved_model(gssl.export.load_deployable(run.path), tmp_path / "holiday")
