"""The deployable classifier as ONNX or SavedModel, compared with Keras before it is kept."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gssl.data.pipeline import normalise
from keras_gssl.errors import UserError
from keras_gssl.model import GatedSSLModel
from keras_gssl.run_folder import RunFolder, read_json

INPUT_NAME = "image"
INPUT_TYPES = ("uint8", "float32")
ONNX_OPSET = 17
TOLERANCE = 1e-4


class ExportError(UserError):
    """The exported file does not do what the Keras model does; it was not kept."""


@dataclasses.dataclass(frozen=True)
class Deployable:
    """A classifier with what has to travel with it.

    Attributes:
        classifier: From normalised images to logits.
        mean, std: Per channel, on the scale 0-1; None if images are not to be normalised.
        class_names: One per class, or empty if unknown.
        samples: A few real images, uint8, to compare on; may be empty.
    """

    classifier: keras.Model
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    class_names: tuple[str, ...] = ()
    samples: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0,), "uint8"))

    def function(self, input_type: str, probabilities: bool) -> Callable[[tf.Tensor], tf.Tensor]:
        """From images as the user has them to logits or probabilities."""
        if input_type not in INPUT_TYPES:
            raise UserError(f"The input must be uint8 or float32, received {input_type!r}.")
        if self.mean is None and input_type == "uint8":
            raise UserError(
                "uint8 pixels need the normalisation inside the model, and its mean and standard deviation are not "
                "known: give --mean and --std, or --input float32 for images normalised by the caller."
            )

        def serve(image: tf.Tensor) -> tf.Tensor:
            if self.mean is None or self.std is None:
                pixels = tf.cast(image, tf.float32)
            else:
                pixels = normalise(image, self.mean, self.std)
            logits = self.classifier(pixels, training=False)
            return tf.nn.softmax(logits) if probabilities else logits

        return serve

    def metadata(self, input_type: str, probabilities: bool) -> dict[str, str]:
        """What a user of the file has to know."""
        inside = self.mean is not None
        return {
            "class_names": json.dumps(list(self.class_names)),
            "input": f"{input_type} RGB image, shape (batch, height, width, channels), "
            + ("pixel values 0-255" if inside else "normalised by the caller"),
            "normalisation": json.dumps({"inside": inside, "mean": self.mean, "std": self.std, "scale": "0-1"}),
            "output": "probabilities" if probabilities else "logits",
        }


def load_deployable(source: str | os.PathLike[str]) -> Deployable:
    """The classifier of a run folder, of a saved `GatedSSLModel`, or a saved classifier (`.keras`).

    Files inside a run folder bring its class names, normalisation and sample images along.
    """
    path = Path(source)
    folder = RunFolder(path if path.is_dir() else path.parent)
    file = folder.classifier if path.is_dir() else path
    if not file.exists():
        what = "a run folder without classifier.keras: has the run finished?" if path.is_dir() else "not there"
        raise UserError(f"Cannot export {path}: it is {what}" + ("" if path.is_dir() else "."))
    try:
        model = keras.models.load_model(file)
    except (ValueError, OSError, TypeError) as error:
        raise UserError(f"Cannot export {file}: Keras cannot load it ({str(error).splitlines()[0]}).") from error
    classifier = model.classifier() if isinstance(model, GatedSSLModel) else model
    if not folder.data.exists():
        return Deployable(classifier)
    data = read_json(folder.data)
    samples = np.zeros((0,), "uint8")
    if folder.samples.exists():
        with np.load(folder.samples) as stored:
            samples = stored["images"]
    return Deployable(
        classifier,
        tuple(data["mean"]),
        tuple(data["std"]),
        tuple(data["class_names"]),
        samples,
    )


def to_onnx(
    model: Deployable | keras.Model,
    path: str | os.PathLike[str],
    input_type: str = "uint8",
    probabilities: bool = False,
) -> Path:
    """Write an ONNX file with input `image` and output `logits` (or `probabilities`), batch size free.

    The file is checked by `onnx.checker` and, on random and real images at batch 1 and 7, by onnxruntime against
    Keras. It appears under its name only if it passes.

    Args:
        model: A classifier, with its normalisation if that is to be part of the graph.
        path: File to write.
        input_type: `"uint8"` or `"float32"`; pixels 0-255 either way if the normalisation is known.
        probabilities: Softmax of the logits.

    Raises:
        ExportError: If the file's results differ from Keras'.

    Example:

    >>> classifier = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), num_classes=10).classifier()
    >>> written = gssl.export.to_onnx(classifier, "classifier.onnx", input_type="float32")
    """
    onnx, tf2onnx, onnxruntime = _import("onnx", "tf2onnx", "onnxruntime")
    model = model if isinstance(model, Deployable) else Deployable(model)
    path, output_name = Path(path), "probabilities" if probabilities else "logits"
    serve = model.function(input_type, probabilities)

    @tf.function(input_signature=[_signature(model, input_type)])
    def named(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {output_name: tf.identity(serve(image), name=output_name)}

    proto, _ = tf2onnx.convert.from_function(named, input_signature=named.input_signature, opset=ONNX_OPSET)
    _name_interface(proto, output_name)
    for key, value in model.metadata(input_type, probabilities).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    try:
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, partial)
        session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])

        def run(batches: list[np.ndarray]) -> list[np.ndarray]:
            return [session.run([output_name], {INPUT_NAME: batch})[0] for batch in batches]

        _compare(model, serve, run, input_type, "ONNX file")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def to_saved_model(
    model: Deployable | keras.Model,
    path: str | os.PathLike[str],
    input_type: str = "uint8",
    probabilities: bool = False,
) -> Path:
    """Write a SavedModel whose `serving_default` takes `image` and gives `logits` (or `probabilities`).

    It needs TensorFlow alone to load: it is compared with Keras in a process that imports nothing else. Arguments and
    errors as for `to_onnx`; an existing SavedModel of that name is replaced.
    """
    model = model if isinstance(model, Deployable) else Deployable(model)
    path, output_name = Path(path), "probabilities" if probabilities else "logits"
    if path.exists() and not (path / "saved_model.pb").exists():
        raise UserError(f"{path} exists and is not a SavedModel: choose another name.")
    serve = model.function(input_type, probabilities)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="partial-") as scratch:
        partial = Path(scratch) / "model"
        archive = keras.export.ExportArchive()
        archive.track(model.classifier)
        archive.add_endpoint(
            "serve", lambda image: {output_name: serve(image)}, input_signature=[_signature(model, input_type)]
        )
        archive.write_out(partial, verbose=False)
        _write_metadata(partial, model.metadata(input_type, probabilities))
        _compare(model, serve, lambda batches: _run_elsewhere(partial, batches, output_name), input_type, "SavedModel")
        if path.exists():
            shutil.rmtree(path)
        os.replace(partial, path)
    return path


def _signature(model: Deployable, input_type: str) -> tf.TensorSpec:
    return tf.TensorSpec((None, *model.classifier.input_shape[1:]), input_type, name=INPUT_NAME)


def _name_interface(proto: Any, name: str) -> None:
    """Call the only output `name` and the free dimension `batch`, whatever the converter made of them."""
    (output,) = proto.graph.output
    for node in proto.graph.node:
        node.input[:] = [name if each == output.name else each for each in node.input]
        node.output[:] = [name if each == output.name else each for each in node.output]
    output.name = name
    for value in (*proto.graph.input, output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _write_metadata(saved_model: Path, metadata: dict[str, str]) -> None:
    assets = saved_model / "assets.extra"  # TensorFlow's place for what travels along
    assets.mkdir()
    (assets / "metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")


def _compare(
    model: Deployable,
    expected: Callable[[tf.Tensor], tf.Tensor],
    actual: Callable[[list[np.ndarray]], list[np.ndarray]],
    input_type: str,
    what: str,
) -> None:
    """Raise `ExportError` unless both give the same on random and, where there are any, real images."""
    kinds = {
        "random": np.random.default_rng(0).integers(0, 256, (8, *model.classifier.input_shape[1:])).astype("uint8")
    }
    if len(model.samples) >= 8:
        kinds["real"] = model.samples[:8]
    names, batches = [], []
    for kind, images in kinds.items():
        pixels = images.astype(input_type) if model.mean is not None else (images / 127.5 - 1).astype(input_type)
        batches += [pixels[:1], pixels[1:8]]
        names += [f"{kind} images at batch 1", f"{kind} images at batch 7"]
    for name, batch, got in zip(names, batches, actual(batches), strict=True):
        wanted = expected(tf.constant(batch)).numpy()
        difference = np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())
        if not difference <= TOLERANCE:  # NaN fails too
            raise ExportError(
                f"The {what} differs from Keras by {difference:.2g} (relative) on {name}; at most {TOLERANCE:g} was "
                f"expected. It was not kept."
            )


def _run_elsewhere(saved_model: Path, batches: list[np.ndarray], output_name: str) -> list[np.ndarray]:
    """Run a SavedModel in a fresh process that imports TensorFlow and NumPy alone."""
    with tempfile.TemporaryDirectory() as scratch:
        np.savez(Path(scratch, "in.npz"), *batches)
        code = (
            "import sys, numpy as np, tensorflow as tf\n"
            f"model = tf.saved_model.load({str(saved_model.resolve())!r}).signatures['serving_default']\n"
            "batches = np.load('in.npz')\n"
            f"np.savez('out.npz', *(model({INPUT_NAME}=tf.constant(batches[name]))[{output_name!r}].numpy() "
            "for name in batches.files))\n"
            "assert not any(name.startswith('keras_gssl') for name in sys.modules)\n"
        )
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=scratch
        )
        if done.returncode:
            raise ExportError(f"The SavedModel does not load by itself: {done.stderr.strip().splitlines()[-1]}")
        with np.load(Path(scratch, "out.npz")) as results:
            return [results[name] for name in results.files]


def _import(*names: str) -> list[Any]:
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as error:
        raise UserError(f"ONNX export needs {error.name}: pip install 'keras_gssl[export]'.") from error
