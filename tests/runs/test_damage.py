"""Files of a run that are damaged, altered or another's, and folders that cannot be written."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.errors import StorageError, UserError
from keras_gssl.recipes import image_folder
from keras_gssl.runs.checkpoints import best_so_far, rows_of_best, saying_what_is_kept
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.history import History, read_history
from keras_gssl.runs.lock import locked
from keras_gssl.runs.manifest import DamagedFileError, Manifest, checksum
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.result import read_result
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.damage import flip, garbage, make_runs, trials

QUICK = TrainingSettings(**METHODS["ce"], quick=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    make_runs(folder)
    return folder


def test_a_flipped_bit_in_any_file_is_one_line_that_names_it(runs):
    found = dict(trials(runs, kinds=(flip,)))
    assert len(found) > 30 and not {title: fault for title, fault in found.items() if fault}


def test_runs_without_a_manifest_name_a_file_that_cannot_be_read(runs):
    manifests = {state: (runs / state / "manifest.json").read_bytes() for state in ("finished", "going")}
    try:
        for state in manifests:
            (runs / state / "manifest.json").unlink()
        found = dict(trials(runs, kinds=(garbage,)))
    finally:
        for state, content in manifests.items():
            (runs / state / "manifest.json").write_bytes(content)
    assert len(found) > 30 and not {title: fault for title, fault in found.items() if fault}


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_as_if_nothing_had_happened(runs, tmp_path, capsys):
    results = {}
    for name, damaged in (("whole", False), ("damaged", True)):
        folder = RunFolder(shutil.copytree(runs / "going", tmp_path / name))
        (folder.path / "checkpoint-old.keras").write_text("mine")
        if damaged:
            flip(folder.path / "checkpoint-0002.keras")
        image_folder.main(["--resume", "--run-dir", str(folder.path)])
        said = capsys.readouterr().out
        assert ("checkpoint-0002.keras is not what the run wrote" in said) is damaged
        results[name] = [{**row, "seconds": ""} for row in folder.read_history()], weights_of(folder)
        assert not folder.checkpoints() and (folder.path / "checkpoint-old.keras").read_text() == "mine"
    assert results["whole"][0] == results["damaged"][0]
    for one, other in zip(results["whole"][1], results["damaged"][1], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def without_best(runs, tmp_path):
    """A run of three epochs after its second, which was better than the third will be; and its best model, lost."""
    folder = RunFolder(shutil.copytree(runs / "going", tmp_path / "run"))
    rows = folder.read_history()
    better = {**rows[1], "val_balanced_accuracy": "0.9876"}
    History(folder.history, folder.manifest, rows[:1]).append(better)
    return folder, folder.best.rename(tmp_path / "kept.keras")


def test_a_lost_best_model_is_said_at_once_and_is_one_of_the_epochs_to_come(without_best, capsys):
    folder, _ = without_best
    image_folder.main(["--resume", "--run-dir", str(folder.path)])
    before, _, _ = capsys.readouterr().out.partition("   epoch 3")
    assert "best.keras is missing; it was of an epoch with 98.76%." in before
    best = read_result(folder.metrics).best_epoch
    assert best.epoch == len(folder.read_history()) - 1 == 2
    assert "of the epochs after 2, as the model of an earlier one was lost" in best.note
    for one, other in zip(keras.models.load_model(folder.best).get_weights(), weights_of(folder), strict=True):
        np.testing.assert_array_equal(one, other)
    for content in ("{}", '{"epochs": "two"}'):
        folder.best_lost.write_text(content)
        with pytest.raises(DamagedFileError, match=r"best_lost\.json is not what the run wrote"):
            rows_of_best(folder, folder.read_history())
        folder.manifest.path.unlink(missing_ok=True)
        with pytest.raises(DamagedFileError, match="expected a number of epochs"):
            rows_of_best(folder, folder.read_history())
        folder.manifest.note(folder.best_lost)
    folder.best_lost.unlink()
    with pytest.raises(DamagedFileError, match=r"best_lost\.json is missing"):
        rows_of_best(folder, folder.read_history())


def test_a_lost_best_model_may_be_brought_back_until_there_is_another(without_best, capsys):
    folder, kept = without_best
    assert best_so_far(folder, folder.read_history()) == (-1.0, True) and "is missing" in capsys.readouterr().out
    shutil.copy(kept, folder.best)
    assert best_so_far(folder, folder.read_history()) == (0.9876, False) and not capsys.readouterr().out
    flip(folder.best)
    assert best_so_far(folder, folder.read_history()) == (-1.0, True)
    assert "best.keras is not what the run wrote; it was" in capsys.readouterr().out
    folder.best_lost.write_text('{"epochs": 3}')  # and then the checkpoint after three epochs was lost, too
    assert best_so_far(folder, folder.read_history()) == (-1.0, True)


def weights_of(folder):
    return keras.models.load_model(folder.last).get_weights()


def test_a_run_does_not_go_on_with_other_data(tmp_path, small_data):
    folder = RunFolder(tmp_path / "run")
    train(QUICK, gssl.data.digits_lt(0.1), folder)
    with pytest.raises(UserError, match=r"was begun on digits-lt .* with other data \(data set: .* then, images now\)"):
        train(QUICK, small_data, folder, resume=True)
    digits = gssl.data.digits_lt(0.1)
    replaced = dataclasses.replace(digits, train_images=255 - digits.train_images)
    with pytest.raises(UserError, match=r"with other data \(pictures\): give it the same recipe and the same pictures"):
        train(QUICK, replaced, folder, resume=True)


def test_a_folder_with_other_files_is_left_alone(tmp_path, small_data):
    (tmp_path / "data.json").write_text('{"mine": 1}')
    with pytest.raises(UserError, match=r"holds data\.json, of another run or of yours"):
        train(QUICK, small_data, RunFolder(tmp_path))
    assert json.loads((tmp_path / "data.json").read_text()) == {"mine": 1} and len(list(tmp_path.iterdir())) == 1


def test_a_run_that_died_before_it_began_can_be_begun(tmp_path, small_data, monkeypatch):
    """Killed between writing down its data and its settings, there is nothing to resume, and nothing in the way."""
    with monkeypatch.context() as dying:
        dying.setattr("keras_gssl.runs.training.write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train(QUICK, small_data, RunFolder(tmp_path))
    assert (tmp_path / "data.json").exists() and not (tmp_path / "settings.json").exists()
    train(QUICK, small_data, RunFolder(tmp_path))
    assert (tmp_path / "metrics.json").exists()


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "letter.txt/run"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, small_data, name):
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(UserError, match="Cannot make the run folder") as caught:
        train(QUICK, small_data, RunFolder(f"{tmp_path}/{name}"))
    assert len(str(caught.value).splitlines()) == 1 and "\0" not in str(caught.value)


def test_one_process_at_a_time_and_a_dead_ones_lock_is_none(tmp_path):
    holding = "import sys, time, pathlib; from keras_gssl.runs.lock import locked\n"
    holding += "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    command = [sys.executable, "-c", holding, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        try:
            with pytest.raises(UserError, match=f"trained in by process {holder.pid}: wait for it"), locked(tmp_path):
                pass
        finally:
            holder.kill()
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / "run.lock").read_text() == f"process {os.getpid()}\n"


def test_a_file_has_one_of_its_checksums_whenever_a_process_dies(tmp_path):
    """Between any two of: content written, checksum noted, file renamed."""
    path, manifest = tmp_path / "data.json", Manifest(tmp_path)
    for text in ("first", "later"):  # of the same length
        with manifest.replacing(path) as partial:
            partial.write_text(text)
        manifest.check(path)
    partial = tmp_path / "partial-data.json"
    for text in ("third", "forth"):
        partial.write_text(text)
        manifest.note(path, partial)  # and here the process dies
        manifest.check(path)
        assert path.read_text() == "later"
    os.replace(partial, path)
    manifest.check(path)
    path.write_text("other")
    with pytest.raises(DamagedFileError, match=r"data\.json is not what the run wrote"):
        manifest.check(path)
    path.unlink()
    with pytest.raises(DamagedFileError, match=r"data\.json is missing"):
        manifest.check(path)
    manifest.check(tmp_path / "of another time.json")


def test_history_is_appended_and_its_beginning_is_what_counts(tmp_path):
    path, manifest = tmp_path / "history.csv", Manifest(tmp_path)
    history = History(path, manifest, [])
    for epoch in range(3):
        history.append({"epoch": epoch, "loss": 1.5})
    inode = path.stat().st_ino
    history.append({"epoch": 3, "loss": 1.0})
    assert path.stat().st_ino == inode, "appended"
    history.append({"epoch": 4, "loss": 1.0, "val_accuracy": 0.5})
    assert path.stat().st_ino != inode, "a new column: written anew"
    manifest.check(path)
    with path.open("a") as file:
        file.write("5,0.9")  # the process dies here
    manifest.check(path)
    rows = read_history(path)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3", "4"] and rows[0]["val_accuracy"] == ""
    History(path, manifest, rows[:4]).append({"epoch": 4, "loss": 2.0})
    assert [row["loss"] for row in read_history(path)] == ["1.5", "1.5", "1.5", "1.0", "2.0"]
    assert manifest.read()["history.csv"][0] == checksum(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch,loss\n0,1.0\n2,1.0\n", "line 3: expected epoch 1, received '2'"),
        ("epoch,loss\n0,many\n", "line 2: loss is 'many', which is no number"),
        ("epoch,loss\n0,1.0,3\n", "line 2: another number of columns"),
        ("name,price\nbread,3\n", "line 2: expected epoch 0, received 'None'"),
    ],
)
def test_a_history_that_is_none_is_named_with_its_line(tmp_path, text, said):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(DamagedFileError, match=said):
        read_history(tmp_path / "history.csv")


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        RuntimeError("Can't write data (file write failed: errno = 28)"),
        OSError(30, "Read-only file system"),
    ],
)
def test_a_full_disk_is_one_line_that_says_how_to_go_on(tmp_path, error):
    with (
        pytest.raises(StorageError, match="What is finished is kept: make room") as caught,
        saying_what_is_kept(RunFolder(tmp_path)),
    ):
        raise error
    assert caught.value.exit_code == 1
    with pytest.raises(RuntimeError, match="another thing"), saying_what_is_kept(RunFolder(tmp_path)):
        raise RuntimeError("another thing")


@pytest.mark.torture
def test_a_real_full_disk(tmp_path):
    """A file system of 1 MiB, on which the second epoch has no room; with more room the run goes on."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        command = [sys.executable, "-m", "keras_gssl.recipes.quickstart", "--quick", "--run-dir", str(place / "run")]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=300)
        lines = ended.stderr.strip().splitlines()
        assert ended.returncode == 1 and lines[-1].startswith("error: Cannot write into"), ended.stderr[-2000:]
        assert "Traceback" not in ended.stderr and "no space left" in lines[-1]
        subprocess.run(["mount", "-o", "remount,size=100m", str(place)], check=True)
        again = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=300)
        assert again.returncode == 0, again.stderr[-2000:]
    finally:
        time.sleep(0.2)
        subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_the_training_after_its_step_and_says_how_to_go_on(runs, tmp_path, number, code, word):
    command = [sys.executable, "-m", "keras_gssl.recipes.image_folder", str(runs / "photos"), "--image-size", "32"]
    command += ["--backbone", "resnet8", "--batch-size", "4", "--epochs", "500", "--run-dir", str(tmp_path / "run")]
    folder = RunFolder(tmp_path / "run")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as training:
        while training.poll() is None and len(folder.checkpoints()) < 2:
            time.sleep(0.2)
        training.send_signal(number)
        _, said = training.communicate(timeout=60)
    assert training.returncode == code and "Traceback" not in said, said[-2000:]
    assert said.strip().splitlines()[-1].startswith(f"{word}; what is finished is kept, and --resume")
    finished, checkpoint = folder.checkpoint()
    assert finished >= 2 and keras.models.load_model(checkpoint) and not list(folder.path.glob("partial-*"))
