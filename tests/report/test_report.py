"""The report of a run, the comparison of runs and the model card, also in a real browser."""

import dataclasses
import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from keras_gssl.errors import UserError
from keras_gssl.pretext.catalogue import GATES
from keras_gssl.report.__main__ import main
from keras_gssl.report.charts import class_accuracy, confusion, svg
from keras_gssl.report.comparison import write_comparison
from keras_gssl.report.dial import rare_or_frequent
from keras_gssl.report.explanations import draw_explanation
from keras_gssl.report.fonts import drawable
from keras_gssl.report.model_card import write_model_card
from keras_gssl.report.page import page, section
from keras_gssl.report.run_data import read_run
from keras_gssl.report.run_report import GATES_SAID, said_of_gate, write_report
from keras_gssl.report.tables import long_table
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
DARK, LIGHT = 0, 1
# What a browser makes of the page: broken pictures, and how much wider it is than the window.
PROBE = """<script>
window.addEventListener("load", () => {
  const broken = [...document.images].filter((image) => !image.complete || !image.naturalWidth).length;
  const tooWide = document.documentElement.scrollWidth - window.innerWidth;
  document.title = JSON.stringify({ pictures: document.images.length, broken, tooWide });
});
</script>"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, small_data):
    """Two finished runs, one with pretext tasks and one without."""
    settings = TrainingSettings(backbone="resnet8", epochs=2, batch_size=25, learning_rate=0.05)
    folders = []
    for method in ("moe", "ce"):
        folders.append(RunFolder(tmp_path_factory.mktemp("runs") / method))
        train(dataclasses.replace(settings, **METHODS[method]), small_data, folders[-1])
    return folders


@pytest.fixture(scope="module")
def report(runs):
    return write_report(runs[0].path)


def test_the_report_says_everything(report, runs):
    text = report.read_text()
    titles = re.findall(r"<h2>(.*?)</h2>", text)
    assert titles == [
        "Results", "Loss", "Accuracy", "Gate weights", "Pretext tasks", "Accuracy per class", "Calibration",
        "Rare or frequent classes", "Every class", "Confusion matrix", "Most confident mistakes", "Transforms",
        "Grad-CAM", "Settings",
    ]  # fmt: skip
    metrics = json.loads(runs[0].metrics.read_text())
    assert f"{100 * metrics['last_epoch']['accuracy']:.2f}" in text
    assert "best epoch (" in text and "last epoch (2)" in text and "optimistic" in text
    assert f"<td>0, as trained</td><td>{100 * metrics['last_epoch']['accuracy']:.2f}</td>" in text
    assert "This is a short run" in text
    for name in ("red", "green", "blue", "resnet8"):
        assert name in text


def test_each_strength_towards_rare_classes_is_what_it_would_give(runs):
    run = read_run(runs[0].path)
    logits, labels = np.random.default_rng(0).normal(size=(300, 3)), np.arange(300) % 3
    run = dataclasses.replace(run, predictions={**run.predictions, "logits": logits, "labels": labels})
    counts = np.array(run.about["class_counts"], float)
    text = rare_or_frequent(run)
    shown = []
    for strength in (-0.2, 0.5):
        accuracy = np.mean((logits - strength * np.log(counts)).argmax(axis=1) == labels)
        shown.append(f"<td>{100 * accuracy:.2f}</td>")
        assert f"<td>{strength:g}</td>{shown[-1]}" in text
    assert shown[0] != shown[1]


def test_the_report_is_one_file(report):
    text = report.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text.replace("xlink:", ""))
    assert "url(http" not in text and "@import" not in text
    assert not re.findall(r"#0[1-6]0[1-3]0[1-3]", text), "every stand-in colour follows the theme"
    ids = re.findall(r'<clipPath id="(.*?)"', text)
    assert len(ids) == len(set(ids)), "charts do not share ids"


def test_without_tasks_there_are_no_gates(runs):
    text = write_report(runs[1].path).read_text()
    assert "Gate weights" not in text and "Transforms" not in text and "Confusion matrix" in text


def test_names_are_escaped(tmp_path, runs):
    folder = tmp_path / "a<b>"
    shutil.copytree(runs[1].path, folder)
    about = json.loads((folder / "data.json").read_text())
    about["class_names"][0] = "<script>alert(1)</script>"
    (folder / "data.json").write_text(json.dumps(about))
    (folder / "manifest.json").unlink()  # which would tell that this is not what the run wrote
    text = write_report(folder).read_text()
    assert "<script>alert" not in text and html.escape("a<b>") in text


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")
@pytest.mark.parametrize("theme", [DARK, LIGHT])
@pytest.mark.parametrize("width", [500, 1400])
def test_in_a_browser(report, tmp_path, width, theme):
    """No console error, no missing picture, nothing wider than the window, and a picture to look at."""
    page = tmp_path / "page.html"
    page.write_text(report.read_text().replace("</body>", f"{PROBE}</body>"))
    options = [*FLAGS, f"--window-size={width},3000", f"--blink-settings=preferredColorScheme={theme}"]

    def chromium(*more):
        command = [CHROMIUM, *options, f"--user-data-dir={tmp_path / 'profile'}", *more, page.as_uri()]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)

    shown = chromium("--dump-dom")
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", shown.stdout)[1]))
    assert found["pictures"] >= 12 and found["broken"] == 0 and found["tooWide"] <= 0
    assert "CONSOLE" not in shown.stderr
    chromium(f"--screenshot={tmp_path / 'page.png'}")
    from PIL import Image

    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == width
        corner = sum(picture.convert("RGB").getpixel((2, 2))) / 3
    assert corner < 40 if theme == DARK else corner > 215


SORTED = """<script>
window.addEventListener("load", () => {
  const rows = () => [...document.querySelectorAll("tbody tr")].filter((row) => !row.hidden);
  const first = () => rows()[0].cells[0].textContent;
  const accuracy = document.querySelectorAll("th button")[2];
  accuracy.click();
  const worst = first();
  accuracy.click();
  const best = first();
  const search = document.querySelector("input");
  search.value = "CLASS 77";
  search.dispatchEvent(new Event("input"));
  document.title = JSON.stringify({ worst, best, found: rows().length, said: document.querySelector("output").value });
});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")
def test_a_thousand_classes_are_sorted_and_searched(tmp_path):
    accuracies = ["-" if i == 500 else f"{(i * 37) % 1000 / 10:.2f}" for i in range(1000)]
    rows = [(f"class {i}", f"{5000 - i:,}", accuracies[i]) for i in range(1000)]
    part = section("Every class", long_table(("class", "training images", "accuracy"), rows, "class"))
    (tmp_path / "page.html").write_text(page("Many", "", [part]).replace("</body>", f"{SORTED}</body>"))
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "page.html").as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout)[1]))
    assert found == {"worst": "class 0", "best": "class 27", "found": 11, "said": "11 of 1000"}
    assert "CONSOLE" not in done.stderr


def test_comparison(runs, tmp_path, capsys):
    output = tmp_path / "both.html"
    assert main([*(str(run.path) for run in runs), "-o", str(output)]) == 0
    text = output.read_text()
    assert "2 runs compared" in text and ">moe<" in text and ">ce<" in text
    assert "Settings that differ" in text and "<td>tasks</td><td>lorot flip channels</td><td>none</td>" in text
    with pytest.raises(UserError, match="Up to 6 runs"):
        write_comparison([runs[0].path] * 7, output)


def test_model_card(runs):
    text = write_model_card(runs[0].path).read_text()
    for heading in ("## Data", "## How good it is", "## Limits", "## Licence"):
        assert heading in text
    assert "| blue | 5 |" in text and "fewer than 20 examples of green, blue" in text


def test_an_unfinished_run_is_named(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "is not the folder of a finished run: it has no metrics.json" in error and error.count("\n") == 1


def test_names_in_any_script_are_drawn_or_written_by_number(tmp_path):
    """Without a font that has them, characters are named by their number rather than drawn as boxes."""
    assert drawable("caf\u00e9 $\\foo$ \u03b1") == "caf\u00e9 $\\foo$ \u03b1"
    assert drawable("red\x1b[31m\n") == "red\\x1b[31m\\n"
    cat = drawable("\u732b")
    assert cat in ("\u732b", "\\u732b")
    image = np.zeros((32, 32, 3), "uint8")
    for name in (
        "a$b$c",
        "$\\foo$",
        "\u732b",
        "\u0645\u0631\u062d\u0628\u0627",
    ):  # warnings of missing glyphs are errors
        draw_explanation(image, {"Grad-CAM": np.zeros((32, 32))}, name, name, tmp_path / "one.png")
        labels = np.repeat([0, 1], 4)
        drawn = class_accuracy({"run": [0.5, 0.25]}, [10, 20], [name, "b"])
        assert "<svg" in svg("chart", drawn) and "<svg" in svg("table", confusion(labels, labels, [name, "b"]))


def test_names_are_text_in_the_model_card():
    from keras_gssl.report.model_card import as_text

    assert as_text("American_lobster, red (2)") == "American_lobster, red (2)"
    assert as_text("a|b\n<script>[x](y)\x1b[31m$z$`") == r"a\|b\\n\<script\>\[x\](y)\\x1b\[31m\$z\$" + "\\`"


def test_every_gate_is_explained():
    assert set(GATES_SAID) == set(GATES)
    assert "frozen" in said_of_gate({"gating": "frozen", "tasks": ["lorot", "flip"]})
    assert "no gate" in said_of_gate({"gating": "frozen", "tasks": ["lorot"], "gate_weights": []})
    assert "beforehand" in said_of_gate({"gating": "frozen", "tasks": ["lorot", "flip"], "gate_weights": [0.7, 0.3]})
