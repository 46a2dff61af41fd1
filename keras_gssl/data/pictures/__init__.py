"""Your own pictures: decoded, listed, read from disk, made a data set."""

from keras_gssl.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
