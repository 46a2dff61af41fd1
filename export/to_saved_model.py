"""Export the classifier of a run, or of a saved model, as a SavedModel that needs TensorFlow alone.

    python export/to_saved_model.py runs/cifar10_lt -o classifier

Signature `serving_default`: input `image`, output `logits` (or `probabilities`), batch size free. Compared with Keras
in a process without keras_gssl; one that differs is not kept.
"""

import sys

from keras_gssl.export.command import main

if __name__ == "__main__":
    sys.exit(main("saved_model", __doc__))
