"""`python -m keras_gssl.report RUN ...`."""

import sys

from keras_gssl.report.command import main

if __name__ == "__main__":
    sys.exit(main())
