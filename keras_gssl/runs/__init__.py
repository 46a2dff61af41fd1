"""Training runs: their settings, their folder, how they are trained, evaluated and resumed."""

from keras_gssl.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
