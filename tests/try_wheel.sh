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

"$repository/tests/use_installed.sh" "$bin" "$scratch"
echo "wheel: $(basename "$wheel") installs, trains, exports, predicts and reports."
