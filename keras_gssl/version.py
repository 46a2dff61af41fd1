"""The version, where both the package and `setup.py` read it."""

__version__ = "0.2.0"
