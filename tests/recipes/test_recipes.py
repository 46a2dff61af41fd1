"""Command lines: help, settings, mistakes, quick runs."""

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.errors import UserError
from keras_gssl.recipes import cifar10_lt, cifar100_lt, quickstart
from keras_gssl.recipes.cifar_lt import CifarSettings
from keras_gssl.recipes.command_line import make_parser, parse, read_config
from keras_gssl.recipes.digits_lt import DigitsSettings
from keras_gssl.recipes.paired import paired_difference
from keras_gssl.recipes.tables.grid import read_table
from keras_gssl.recipes.tables.ledger import Ledger
from keras_gssl.recipes.tiny_imagenet import TinyImageNetSettings
from keras_gssl.runs.folder import RunFolder
from tests.data.test_data import needs_cifar10
from tests.made_up_cifar import prepare

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "digits_lt": DigitsSettings,
    "cifar10_lt": CifarSettings,
    "cifar100_lt": CifarSettings,
    "tiny_imagenet": TinyImageNetSettings,
}


#: What an experiment file of the paper's tables spells out; the rest of the settings came after it.
OF_THE_PAPER = {
    "tasks", "gating", "ssl_ratio", "flip_axis", "loss", "pretraining", "label_augmentation", "backbone", "epochs",
    "batch_size", "learning_rate", "warmup_epochs", "momentum", "weight_decay", "drop_epochs", "drop_factor",
    "reweight_epoch", "seed", "precision", "devices", "validation_freq",
}  # fmt: skip


def read(settings_class, *argv):
    return parse(settings_class, "test", "", argv)


@pytest.mark.parametrize("name", SETTINGS)
def test_help_lists_every_setting_with_default_and_meaning(name):
    def unwrapped(text):  # lines are broken at hyphens, too
        return "".join(text.split())

    text = unwrapped(make_parser(SETTINGS[name], name, "").format_help())
    for field in dataclasses.fields(SETTINGS[name]):
        assert f"--{field.name.replace('_', '-')}" in text
        assert unwrapped(field.metadata["help"]) in text
        if isinstance(field.default, (int, float, str)) and not isinstance(field.default, bool):
            assert f"(default:{field.default})" in text, field.name


@pytest.mark.parametrize("name", ["cifar10_lt", "cifar100_lt", "tiny_imagenet"])
def test_experiment_files_hold_the_defaults(name):
    settings_class = SETTINGS[name]
    values = read_config(str(ROOT / "recipes" / f"{name}.toml"), settings_class)
    assert settings_class(**values) == settings_class()
    assert set(values) >= OF_THE_PAPER


def test_command_line_overrides_config_overrides_defaults(tmp_path):
    config = tmp_path / "my.toml"
    config.write_text('epochs = 7\nlearning_rate = 1\ntasks = ["flip"]\n')
    settings = read(CifarSettings, "--config", str(config), "--epochs", "9", "--quick")
    assert (settings.epochs, settings.learning_rate, settings.tasks, settings.seed) == (9, 1.0, ("flip",), 0)
    assert read(CifarSettings, "--tasks").tasks == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown setting 'epoch'"),
        ("epochs = 3.5", "epochs must be int, received 3.5"),
        ('tasks = ["spin"]', "tasks must be one of flip, lorot, channels; received 'spin'"),
        ("epochs = ", "not valid TOML"),
        ("epochs = true", "epochs must be int"),
    ],
)
def test_mistakes_in_a_config_are_named(tmp_path, text, message):
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read(CifarSettings, "--config", str(tmp_path / "my.toml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "argv",
    [
        ["--epochs", "many"],
        ["--gating", "soft"],
        ["--tasks", "spin"],
        ["--epoch", "3"],
        ["--epochs", "0"],
        ["--backbone", "resnet31"],
        ["--ssl-ratio", "-1"],
        ["--learning-rate", "0"],
        ["--momentum", "1"],
        ["--drop-epochs", "180", "160"],
        ["--imbalance-ratio", "2"],
    ],
)
def test_mistakes_on_the_command_line_exit_with_2(argv):
    with pytest.raises((SystemExit, UserError)) as caught:
        read(CifarSettings, *argv)
    assert isinstance(caught.value, UserError) or caught.value.code == 2


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        cwd=environment.pop("cwd", None),
    )


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path):
    done = run("-m", "keras_gssl.recipes.cifar10_lt", "--config", str(tmp_path / "none.toml"))
    assert done.returncode == 2
    assert done.stderr.strip().startswith("error: Cannot read --config") and len(done.stderr.strip().splitlines()) == 1


def test_impossible_tail_and_folder_are_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="no image left"):
        quickstart.main(["--quick", "--imbalance-ratio", "0.001", "--run-dir", str(tmp_path / "run")])
    with pytest.raises(UserError, match="Cannot make the run folder"):
        quickstart.main(["--quick", "--run-dir", str(tmp_path / "file" / "run")])


def test_a_resumed_run_keeps_its_settings(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"epochs": 7, "tasks": ["flip"], "seed": 3}))
    settings = read(CifarSettings, "--run-dir", str(tmp_path), "--resume", "--seed", "3")
    assert (settings.epochs, settings.tasks, settings.seed) == (7, ("flip",), 3)
    with pytest.raises(UserError, match="epochs=7, received 9"):
        read(CifarSettings, "--run-dir", str(tmp_path), "--resume", "--epochs", "9")


def test_quickstart_quick_prints_what_it_did(tmp_path, capsys):
    quickstart.main(["--quick", "--run-dir", str(tmp_path / "run")])
    printed = capsys.readouterr().out
    for part in ("many", "medium", "few", "classifier.onnx", "ONNX"):
        assert part in printed
    for name in ("cross-entropy", "LDAM-DRW", "LDAM-DRW + augmentation alone", "LDAM-DRW + gated tasks"):
        assert len(re.findall(rf"\n{re.escape(name)}  +[\d.]+ ", printed)) == 1, "a line of the table"
    assert f"Report:           file://{tmp_path}/run/report.html" in printed
    assert "Over seeds" not in printed, "a trial is not what was measured"
    assert (tmp_path / "run/classifier.onnx").exists() and (tmp_path / "run/classifier/saved_model.pb").exists()


def test_quickstart_tells_what_the_ledger_holds():
    table, ledger = read_table(ROOT / "recipes/gates.toml"), Ledger(ROOT / "recipes/results")
    rows = ["Cross-entropy", "LDAM-DRW, nothing altered", "Augmentation alone", "Gated, look-ahead"]
    found = [[ledger.find(run).content.last_epoch for run in table.cells[row, "Digits-LT 0.02"].runs] for row in rows]
    for figure in ("accuracy", "few"):
        values = [[100 * getattr(scores, figure) for scores in of_row] for of_row in found]
        for before, after in itertools.pairwise(values):
            told = paired_difference(after, before)
            assert f"{told.mean:.1f} ({told.low:.1f} to {told.high:.1f})" in quickstart.MEASURED
        for each in values:
            assert f"{np.mean(each):.1f} ({np.std(each, ddof=1):.1f})" in quickstart.__doc__


@pytest.mark.parametrize(
    ("arguments", "methods"),
    [
        ([], ["ce", "ldam-drw", "augment-only", "moe"]),
        (["--loss", "balanced"], ["ce", "balanced", "augment-only", "moe"]),
        (["--method", "augment-only"], ["ce", "ldam-drw", "augment-only"]),
        (["--method", "ldam-drw"], ["ce", "ldam-drw"]),
        (["--method", "ssp"], ["ce", "ldam-drw", "ssp"]),
    ],
)
def test_quickstart_adds_one_thing_after_the_other(tmp_path, arguments, methods):
    settings = read(DigitsSettings, *arguments)
    runs = quickstart.runs_of(settings, RunFolder(tmp_path / "run"))
    assert [each.method for each, _ in runs.values()] == methods
    *before, (last, folder) = runs.values()
    assert last == settings and folder.path == tmp_path / "run"
    assert [folder.path.name for _, folder in before] == methods[:-1]


@needs_cifar10
def test_cifar10_quick(tmp_path, capsys):
    cifar10_lt.main(["--quick", "--gating", "learned", "--run-dir", str(tmp_path / "run")])
    assert "last epoch" in capsys.readouterr().out


def test_cifar100_lt_quick(tmp_path, capsys, monkeypatch):
    counts = gssl.data.long_tail_counts(100, 500, 0.01)
    random = np.random.default_rng(0)
    labels = {"train": random.permutation(np.repeat(np.arange(100), counts)), "test": np.repeat(np.arange(100), 2)}
    prepare("cifar100", labels, tmp_path / "tfds", monkeypatch)
    data = gssl.data.cifar100_lt(0.01, data_dir=str(tmp_path / "tfds"))
    assert len(data.train_labels) == 10_847 and data.class_counts[::99] == [500, 5]
    arguments = ["--quick", "--backbone", "resnet8", "--data-dir", str(tmp_path / "tfds")]
    results = cifar100_lt.main([*arguments, "--run-dir", str(tmp_path / "run")])
    assert "training and 200 test images" in capsys.readouterr().out
    assert len(results.last_epoch.per_class) == 100


def test_cifar100_needs_its_data(tmp_path, monkeypatch):
    import socket

    def refuse(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(UserError, match="cifar100 was not found"):
        cifar100_lt.main(["--quick", "--data-dir", str(tmp_path), "--run-dir", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()
