"""Backbones, and the models that train them: gated self-supervision and the methods it is compared with."""

from keras_gssl.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
