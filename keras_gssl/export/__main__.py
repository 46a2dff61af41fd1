"""`python -m keras_gssl.export KIND RUN_OR_MODEL -o FILE`."""

import sys

from keras_gssl.export.command import main_of_any_kind

if __name__ == "__main__":
    sys.exit(main_of_any_kind())
