"""The deployable classifier as ONNX, SavedModel or LiteRT file, compared with Keras before it is kept."""

from keras_gssl.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
