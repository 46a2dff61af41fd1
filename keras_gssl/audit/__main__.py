"""`python -m keras_gssl.audit RUN`."""

import sys

from keras_gssl.audit.command import main

if __name__ == "__main__":
    sys.exit(main())
