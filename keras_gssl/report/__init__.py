"""A run as one HTML page, several runs compared on one, the model card, and what a classifier looks at."""

from keras_gssl.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
