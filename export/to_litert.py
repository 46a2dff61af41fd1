"""Export a run's classifier as a LiteRT (TensorFlow Lite) file, checked before it is kept.

python export/to_litert.py runs/cifar10_lt -o classifier.tflite
python export/to_litert.py runs/cifar10_lt -o classifier-int8.tflite --int8
"""

import sys

from keras_gssl.export.command import main

if __name__ == "__main__":
    sys.exit(main("litert", __doc__))
