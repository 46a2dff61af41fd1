"""Every example in a docstring, and the README's script, run as printed."""

import dataclasses
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.recipes.cifar_lt import CifarSettings

ROOT = Path(__file__).parents[1]
MODULES = [module.name for module in pkgutil.walk_packages(gssl.__path__, "keras_gssl.")]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"gssl": gssl, "np": np, "tf": tf, "keras": keras}
    failed, _ = doctest.testmod(importlib.import_module(name), globs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not failed


def readme_script():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (script,) = [block for block in blocks if "model.fit" in block and "data.train(" in block]
    return script


def test_readme_script_on_arrays_runs_as_printed(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (script,) = [block for block in blocks if "validation_split" in block]
    (tmp_path / "train.py").write_text(script)
    done = subprocess.run([sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readme_script_runs_as_printed(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(readme_script())
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "classifier.onnx").exists()


def test_the_page_on_recipes_runs_as_printed(tmp_path):
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/recipes.md").read_text(), re.DOTALL)
    (tmp_path / "page.py").write_text(script)
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_page_on_tasks_runs_as_printed(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/write_a_task.md").read_text(), re.DOTALL)
    (tmp_path / "page.py").write_text("\n".join(blocks))
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the blur head is right in" in done.stdout


def test_the_notebook_is_the_tutorial_and_runs(tmp_path):
    jupytext, nbclient = pytest.importorskip("jupytext"), pytest.importorskip("nbclient")
    notebook = jupytext.read(ROOT / "docs/tutorial.ipynb")
    tutorial = jupytext.read(ROOT / "docs/tutorial.md")
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in tutorial.cells], "run `make docs`"
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert (tmp_path / "classifier-int8.onnx").stat().st_size < (tmp_path / "classifier.onnx").stat().st_size


METHOD_ROW = "| `--method` |  | name of a method above, for the settings that make it |"


def settings_table():
    rows = ["| option | default | meaning |", "|---|---|---|", METHOD_ROW]
    for field in dataclasses.fields(CifarSettings):
        default = field.default
        shown = " ".join(map(str, default)) if isinstance(default, tuple) else default
        text = "" if shown is None or shown is False else f"`{shown}`"
        choices = field.metadata["choices"]
        meaning = field.metadata["help"] + (": " + ", ".join(f"`{each}`" for each in choices) if choices else "")
        rows.append(f"| `--{field.name.replace('_', '-')}` | {text} | {meaning} |")
    return "\n".join(rows)


def test_readme_lists_the_settings_as_they_are():
    assert settings_table() in (ROOT / "README.md").read_text()


def test_readme_script_is_short():
    lines = [line for line in readme_script().splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 20
