"""Which versions the package works with: every Python, each with the oldest and the newest TensorFlow and Keras.

    python -m tests.matrix                          # writes docs/versions.md; some ten minutes for each environment
    python -m tests.matrix --pythons 3.10 3.13      # of these alone; the other rows of the page stay

In an environment of its own the package is installed, trains, exports and predicts as `tests/try_wheel.sh` does, and
the tests of the method, the models, the exports and the settings run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "versions.md"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: Not test_earlier_files: its files are of a newer Keras than the oldest, and no Keras reads those of a newer one.
TESTS = (
    "tests/pretext/test_tasks.py", "tests/pretext/test_gates.py", "tests/test_losses.py", "tests/test_layers.py",
    "tests/test_optimizers.py", "tests/models/test_gated.py", "tests/runs/test_settings.py",
    "tests/export/test_export.py", "tests/runs/test_paused.py",
)  # fmt: skip
TOOLS = ("pytest", "pytest-xdist", "hypothesis")
#: TensorFlow has no wheels of old versions for young Pythons: the first of these that installs is the oldest.
TENSORFLOWS = tuple(f"tensorflow=={version}" for version in ("2.19.0", "2.20.0", "2.21.0"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__.split("\n")[0])
    parser.add_argument("--pythons", nargs="+", choices=PYTHONS, default=PYTHONS, metavar="VERSION")
    parser.add_argument("--ages", nargs="+", choices=("oldest", "newest"), default=("oldest", "newest"))
    chosen = parser.parse_args(argv)
    rows = read_page(PAGE)
    failed = 0
    for python in chosen.pythons:
        for age in chosen.ages:
            interpreter = find(python)
            if interpreter is None:
                rows.setdefault((python, age), ("-", "-", "not tried: no such Python was to be had"))
                continue
            row = rows[python, age] = tried(interpreter, age)
            failed += row[2].startswith("fails")
            print(f"Python {python}, {age}: TensorFlow {row[0]}, Keras {row[1]}: {row[2]}", flush=True)
            PAGE.write_text(page(rows), encoding="utf-8")
    return 1 if failed else 0


def find(python: str) -> str | None:
    """An interpreter of this version: on the path, or as pyenv keeps them."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{python}.*/bin/python"))
    for name in [f"python{python}", *map(str, kept)]:
        path = shutil.which(name)
        if path and subprocess.run([path, "-c", "import ssl"], check=False, capture_output=True).returncode == 0:
            return path
    return None


def tried(interpreter: str, age: str) -> tuple[str, str, str]:
    """TensorFlow's and Keras' version, and how it went."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([interpreter, "-m", "venv", scratch], check=True)
        python = f"{scratch}/bin/python"
        if not install(python, age):
            return "-", "-", "fails: it cannot be installed"
        versions = subprocess.run(
            [python, "-c", "import tensorflow, keras; print(tensorflow.__version__, keras.__version__)"],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if versions.returncode:
            return "-", "-", f"fails: {_last(versions.stderr)}"
        tensorflow, keras = versions.stdout.split()
        use = subprocess.run(
            ["bash", str(HERE / "use_installed.sh"), f"{scratch}/bin", scratch],
            check=False,
            capture_output=True,
            text=True,
        )
        if use.returncode:
            return tensorflow, keras, f"fails: {_last(use.stderr)}"
        # Warnings are errors in the suite for the versions that it is written with; here they are not.
        tests = subprocess.run(
            [python, "-m", "pytest", "-q", "-n", "2", "-o", "filterwarnings=default", *TESTS],
            cwd=HERE.parent, check=False, capture_output=True, text=True,
        )  # fmt: skip
        summary = re.sub(r" in [\d.]+s.*|, \d+ warnings?", "", _last(tests.stdout))
        if tests.returncode:
            print("\n".join(tests.stdout.splitlines()[-60:]), file=sys.stderr)
            return tensorflow, keras, f"fails: {summary}"
        return tensorflow, keras, f"works: {summary}"


def install(python: str, age: str) -> bool:
    """Install the package from a copy, with the oldest TensorFlow and Keras that it admits or the newest."""
    keras = re.search(r'"keras>=([\d.]+)"', (HERE.parent / "setup.py").read_text(encoding="utf-8"))
    assert keras is not None
    pip = [python, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    with tempfile.TemporaryDirectory() as copy:
        for name in ("keras_gssl", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
            source = HERE.parent / name
            if source.is_dir():
                shutil.copytree(source, Path(copy) / name)
            else:
                shutil.copy(source, copy)
        for tensorflow in TENSORFLOWS if age == "oldest" else ("tensorflow",):
            pinned = [tensorflow, f"keras=={keras.group(1)}.0"] if age == "oldest" else []
            if not subprocess.run([*pip, f"{copy}[export,explain]", *TOOLS, *pinned], check=False).returncode:
                return True
    return False


def read_page(path: Path) -> dict[tuple[str, str], tuple[str, str, str]]:
    """The rows of the page as it is."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.findall(r"^\| (3\.\d+) \| (oldest|newest) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {(python, age): (tensorflow, keras, result) for python, age, tensorflow, keras, result in found}


def page(rows: dict[tuple[str, str], tuple[str, str, str]]) -> str:
    lines = [f"| {python} | {age} | {' | '.join(row)} |" for (python, age), row in sorted(rows.items(), key=_order)]
    return "\n".join(
        [
            "# Versions",
            "",
            "Made by `make matrix`: as it is installed, with the oldest and the newest TensorFlow and Keras that it",
            "admits and that there are for a Python, the package trains, exports and predicts; then the tests of the",
            "method, the models, the exports and the settings run. The whole suite runs with the versions that",
            "`make test` installs.",
            "",
            "| Python | of what is admitted | TensorFlow | Keras | result |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def _order(item: tuple[tuple[str, str], object]) -> tuple[int, bool]:
    (python, age), _ = item
    return PYTHONS.index(python), age == "newest"


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1].strip("= ")


if __name__ == "__main__":
    sys.exit(main())
