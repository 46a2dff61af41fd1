"""The classifier as an ONNX file, in float32 or with int8 weights and activations."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.errors import UserError
from keras_gssl.export.check import TestImages, as_input, check_file
from keras_gssl.export.deployable import Deployable, as_deployable, signature
from keras_gssl.export.interface import INPUT_NAME, output_name
from keras_gssl.export.runners import onnx_runner
from keras_gssl.extras import extra
from keras_gssl.files import replacing

OPSET = 17
CALIBRATION_BATCH = 16
#: What is computed in int8. The head is left in float32: its few products cost nothing, and cosines are fine-grained.
QUANTISED = ["Conv", "Add", "MaxPool", "GlobalAveragePool"]


def to_onnx(
    model: Deployable | keras.Model,
    path: str | os.PathLike[str],
    input_type: str = "uint8",
    probabilities: bool = False,
    calibration: np.ndarray | None = None,
    test: TestImages | None = None,
) -> Path:
    """Write an ONNX file with input `image` and output `logits` (or `probabilities`), batch size free.

    The file is checked by `onnx.checker` and, on random and real images at batch 1 and 7, by onnxruntime against
    Keras. It appears under its name only if it passes.

    Args:
        model: A classifier, with its normalisation if that is to be part of the graph.
        path: File to write.
        input_type: `"uint8"` or `"float32"`; pixels 0-255 either way if the normalisation is known.
        probabilities: Softmax of the logits.
        calibration: Training images, uint8, shape `(count, height, width, channels)`: gives a file in int8 (static
            quantisation, weights per channel), whose ranges are those that these images lead to. Such a file differs
            from Keras, so it is checked by its accuracy on `test` alone.
        test: Test images on which the file must be about as accurate as Keras.

    Raises:
        ExportError: If the file's results or its accuracy differ too far from Keras'.

    Example:

    >>> classifier = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), num_classes=10).classifier()
    >>> written = gssl.export.to_onnx(classifier, "classifier.onnx", input_type="float32")
    """
    onnx, tf2onnx = _import("onnx", "tf2onnx")
    model = as_deployable(model)
    path, output = Path(path), output_name(probabilities)
    serve = model.function(input_type, probabilities)

    @tf.function(input_signature=[signature(model, input_type)])
    def named(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {output: tf.identity(serve(image), name=output)}

    with _quiet():
        proto, _ = tf2onnx.convert.from_function(
            named, input_signature=named.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
        )
    _refuse_unknown(proto)
    _name_interface(proto, output)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        if calibration is not None:
            proto = _quantise(proto, partial, as_input(model, calibration, input_type))
        for key, value in model.metadata(input_type, probabilities).items():
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, value
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, partial)
        check_file(model, serve, onnx_runner(partial), input_type, "ONNX file", calibration is None, test)
    return path


def _quantise(proto: Any, scratch: Path, images: np.ndarray) -> Any:
    """The graph in int8: quantised and dequantised around each operation, which onnxruntime fuses."""
    onnx, quantization = _import("onnx", "onnxruntime.quantization")
    batches = iter([{INPUT_NAME: images[i : i + CALIBRATION_BATCH]} for i in range(0, len(images), CALIBRATION_BATCH)])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(batches, None)

    source, prepared, result = (scratch.with_name(f"{scratch.name}.{stage}") for stage in ("float", "ready", "int8"))
    try:
        onnx.save(proto, source)
        with _quiet():
            quantization.shape_inference.quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                result,
                Reader(),
                op_types_to_quantize=QUANTISED,
                per_channel=True,
                weight_type=quantization.QuantType.QInt8,
                activation_type=quantization.QuantType.QUInt8,
                # Without it, 8-bit products overflow 16 bits on CPUs that lack VNNI instructions.
                reduce_range=True,
            )
        return onnx.load(result)
    finally:
        for file in (source, prepared, result):
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """tf2onnx prints what it tried in vain, and onnxruntime advises to do what has just been done."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """`erfc(x) = 1 - erf(x)`: TensorFlow's gelu has the one, ONNX the other."""
    given, result = list(node.input), list(node.output)
    shapes, types = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", given, shapes=shapes, dtypes=types)
    one = graph.make_const(f"{name}_one", np.ones((), "float32"))
    graph.make_node("Sub", [one.output[0], erf.output[0]], name=name, outputs=result, shapes=shapes, dtypes=types)


def _refuse_unknown(proto: Any) -> None:
    """Raise `UserError` for operations that the converter passed on because it does not know them."""
    (onnx,) = _import("onnx")
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    unknown = sorted({node.op_type for node in proto.graph.node if node.domain == ""} - known)
    if unknown:
        raise UserError(
            f"The classifier has operations that cannot be written as ONNX: {', '.join(unknown)}. Export it as a "
            f"SavedModel, or use another backbone."
        )


def _name_interface(proto: Any, name: str) -> None:
    """Call the only output `name` and the free dimension `batch`, whatever the converter made of them."""
    (output,) = proto.graph.output
    for node in proto.graph.node:
        node.input[:] = [name if each == output.name else each for each in node.input]
        node.output[:] = [name if each == output.name else each for each in node.output]
    output.name = name
    for value in (*proto.graph.input, output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _import(*names: str) -> list[Any]:
    with extra("export", "ONNX needs"):
        return [importlib.import_module(name) for name in names]
