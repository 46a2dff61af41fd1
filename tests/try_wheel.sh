#!/usr/bin/env bash
# Build the wheel, install it into an empty environment, and use it outside of the repository.
set -euo pipefail
repository="$(cd "$(dirname "$0")/.." && pwd)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH TFDS_DATA_DIR

"${PYTHON:-python3}" -m venv "$scratch/venv"
bin="$scratch/venv/bin"
# Built from a copy, so that nothing is left in the repository.
mkdir "$scratch/source"
(cd "$repository" && cp -r keras_gssl setup.py pyproject.toml README.md LICENSE "$scratch/source")
"$bin/pip" install --quiet --upgrade pip
"$bin/pip" wheel --quiet --no-deps --wheel-dir "$scratch/dist" "$scratch/source"
wheel="$(echo "$scratch"/dist/keras_gssl-*.whl)"
"$bin/pip" install --quiet "$wheel[export,explain]"
rm -rf "$scratch/source"

mkdir "$scratch/elsewhere"
cd "$scratch/elsewhere"
"$bin/python" -c "import keras_gssl; assert 'site-packages' in keras_gssl.__file__, keras_gssl.__file__"
"$bin/keras-gssl" --version
"$bin/keras-gssl" quickstart --quick
"$bin/keras-gssl" export onnx runs/quickstart -o classifier.onnx
"$bin/python" -c "
import numpy as np; from PIL import Image
Image.fromarray(np.load('runs/quickstart/samples.npz')['images'][0]).save('digit.png')"
"$bin/keras-gssl" predict classifier.onnx digit.png
"$bin/keras-gssl" report runs/quickstart
echo "wheel: $(basename "$wheel") installs, trains, exports, predicts and reports."
