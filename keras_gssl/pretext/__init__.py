"""What is done to one quadrant of an image, and how much telling it counts: tasks, quadrants, gates."""

from keras_gssl.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
