"""`python -m keras_gssl`: the same as the command `keras-gssl`."""

import sys

from keras_gssl.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m keras_gssl"))
