"""The deployable classifier as ONNX, SavedModel or LiteRT file, compared with Keras before it is kept."""

from keras_gssl.export.check import ExportError, TestImages
from keras_gssl.export.deployable import INPUT_TYPES, Deployable, load_deployable
from keras_gssl.export.litert import to_litert
from keras_gssl.export.onnx_file import to_onnx
from keras_gssl.export.saved_model import to_saved_model

__all__ = [
    "INPUT_TYPES",
    "Deployable",
    "ExportError",
    "TestImages",
    "load_deployable",
    "to_litert",
    "to_onnx",
    "to_saved_model",
]
