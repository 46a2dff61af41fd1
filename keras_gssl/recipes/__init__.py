"""Experiments to run from the command line: `python -m keras_gssl.recipes.NAME --help`."""
