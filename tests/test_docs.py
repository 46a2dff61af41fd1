"""Every example in a docstring and every script of a page runs as printed; the site is whole."""

import dataclasses
import doctest
import importlib
import json
import pkgutil
import re
import runpy
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

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


#: Pages with scripts: each one's blocks, joined where a later one goes on with the names of an earlier one.
SCRIPTS = {
    "README.md": "each",
    "docs/fit.md": "each",
    "docs/recipes.md": "each",
    "docs/write_a_task.md": "joined",
}


def run_script(path, folder, monkeypatch):
    """As `python PATH` does in a folder, with names of its own, but without another five seconds of TensorFlow."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(path)])
    runpy.run_path(str(path), run_name="__main__")


def scripts():
    for page, kind in SCRIPTS.items():
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
        assert blocks, page
        yield from [(page, block) for block in blocks] if kind == "each" else [(page, "\n".join(blocks))]


@pytest.mark.parametrize(("page", "script"), [pytest.param(*each, id=each[0]) for each in scripts()])
def test_scripts_of_pages_run_as_printed(tmp_path, page, script, monkeypatch):
    (tmp_path / "script.py").write_text(script)
    run_script(tmp_path / "script.py", tmp_path, monkeypatch)
    assert ("to_onnx" in script) <= (tmp_path / "classifier.onnx").exists()


def test_no_other_page_has_scripts():
    """The tutorial is run as a notebook; what cannot run on its own is no script."""
    others = {"docs/tutorial.md", "docs/own_pictures.md"}
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md") if "```python" in path.read_text()}
    assert found <= set(SCRIPTS) | others


EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py") if path.name != "serve.py")


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(tmp_path, name, monkeypatch, capfd):
    run_script(ROOT / "examples" / name, tmp_path, monkeypatch)
    assert capfd.readouterr().out.strip()


def test_examples_are_short():
    for path in (ROOT / "examples").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 60, path


def test_the_example_of_a_service_answers(tmp_path, small_data):
    model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, small_data.image_shape), small_data.num_classes)
    gssl.export.to_onnx(gssl.export.Deployable.from_model(model, small_data), tmp_path / "classifier.onnx")
    Image.fromarray(small_data.test_images[0]).resize((50, 30)).save(tmp_path / "photo.jpg")
    command = [sys.executable, str(ROOT / "examples/serve.py"), str(tmp_path / "classifier.onnx"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as service:
        try:
            address = service.stdout.readline().strip()
            with urllib.request.urlopen(address, (tmp_path / "photo.jpg").read_bytes(), timeout=30) as answer:
                likely = json.load(answer)
            assert set(likely) <= set(small_data.class_names) and 0 < sum(likely.values()) <= 1.001
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(address, b"%!PS not a picture", timeout=30)
        finally:
            service.kill()


def test_the_site_is_whole(tmp_path):
    """Every page is in it, with the whole API; a broken link or a name that is not there is an error."""
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    written = " ".join(path.read_text() for path in (tmp_path / "site" / "api").glob("*.html"))
    for name in gssl.__all__:
        thing = getattr(gssl, name)
        if not isinstance(thing, (str, type(gssl))):
            assert f'id="{thing.__module__}.{name}"' in written, name
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in (tmp_path / "site").glob("*.html")}
    index = (tmp_path / "site/index.html").read_text()
    assert 'data-md-component="search-query"' in index and (tmp_path / "site/search/search_index.json").exists()
    # Nothing is fetched from elsewhere.
    assert not re.search(r'src="(https?:)?//|<link[^>]+stylesheet[^>]+https?:', index)


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


METHOD_ROW = "| `--method` |  | name of a [method](methods.md#methods), for the settings that make it |"


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


def test_the_page_of_settings_lists_them_as_they_are():
    assert settings_table() in (ROOT / "docs/settings.md").read_text()


def comparison_table(told):
    """What the README shows of a comparison."""
    rows = ["| method | all classes | rare classes |", "|---|---|---|"]
    for name, figures in told["methods"].items():
        cells = [f"{mean:.1f} ({spread:.1f})" for mean, spread in (figures["accuracy"], figures["few"])]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def test_the_readme_shows_the_comparison_as_it_was_measured():
    told = json.loads((ROOT / "recipes/comparisons/pictures_lt.json").read_text())
    assert comparison_table(told) in (ROOT / "README.md").read_text()
    assert {figures["runs"] for figures in told["methods"].values()} == {3}


def test_the_readme_is_of_one_screen():
    text = (ROOT / "README.md").read_text()
    assert len(text.encode()) <= 7000
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in script.splitlines() if line.strip()]) <= 16
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / target).exists(), target
