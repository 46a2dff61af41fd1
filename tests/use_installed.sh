#!/usr/bin/env bash
# Use an installed package as somebody does who has no repository: use_installed.sh BIN SCRATCH.
set -euo pipefail
bin="$1"
unset PYTHONPATH TFDS_DATA_DIR
mkdir "$2/elsewhere"
cd "$2/elsewhere"
"$bin/python" -c "import keras_gssl; assert 'site-packages' in keras_gssl.__file__, keras_gssl.__file__"
"$bin/keras-gssl" --version
"$bin/keras-gssl" quickstart --quick
"$bin/keras-gssl" export onnx runs/quickstart -o classifier.onnx
"$bin/python" -c "
import numpy as np; from PIL import Image
Image.fromarray(np.load('runs/quickstart/samples.npz')['images'][0]).save('digit.png')"
"$bin/keras-gssl" predict classifier.onnx digit.png
"$bin/keras-gssl" report runs/quickstart
