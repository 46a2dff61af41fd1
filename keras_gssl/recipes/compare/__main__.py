"""`python -m keras_gssl.recipes.compare`."""

from keras_gssl.recipes.command_line import run
from keras_gssl.recipes.compare.command import main

if __name__ == "__main__":
    run(main)
