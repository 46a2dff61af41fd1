"""Export the classifier of a run, or of a saved model, as ONNX.

    python export/to_onnx.py runs/cifar10_lt -o classifier.onnx

Input `image`, output `logits` (or `probabilities`), batch size free. Checked by onnx.checker and by onnxruntime against
Keras; a file that differs is not kept.
"""

import sys

from keras_gssl.export.command import main

if __name__ == "__main__":
    sys.exit(main("onnx", __doc__))
