"""The package as a whole: public names, layering, and that it speaks of itself alone."""

import re
import subprocess
import sys
from pathlib import Path

import keras_gssl as gssl

ROOT = Path(__file__).parents[1]


def test_public_names_exist_and_are_documented():
    for name in gssl.__all__:
        assert getattr(gssl, name).__doc__, name


def test_imports_go_one_way():
    """Nothing below the recipes parses arguments, and nothing imports a layer above its own."""
    above = {
        "recipes": (),
        "training": ("recipes",),
        "model": ("training", "recipes"),
        "data": ("model", "training", "recipes"),
    }
    above |= dict.fromkeys(
        ["tasks", "gating", "layers", "losses", "quadrants"], ("data", "model", "training", "recipes")
    )
    for part, forbidden in above.items():
        files = [ROOT / f"keras_gssl/{part}.py", *(ROOT / f"keras_gssl/{part}").glob("*.py")]
        for file in filter(Path.exists, files):
            imported = re.findall(r"^\s*from keras_gssl\.(\w+)", file.read_text(), re.MULTILINE)
            assert not set(imported) & set(forbidden), file


def test_importing_prints_nothing():
    done = subprocess.run([sys.executable, "-c", "import keras_gssl"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_another_backend_is_refused_in_one_line():
    code = "import os; os.environ['KERAS_BACKEND'] = 'numpy'; import keras_gssl"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "KERAS_BACKEND=tensorflow" in done.stderr.strip().splitlines()[-1]
