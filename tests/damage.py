"""Damage to the files of a run, and what each command makes of it: one line, and nothing worse.

`python -m tests.damage` tries all of it and prints the counts.
"""

import contextlib
import io
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from keras_gssl.cli import main
from keras_gssl.recipes import image_folder
from tests.pictures import make_folder

RECIPE = ["--image-size", "32", "--batch-size", "16", "--backbone", "resnet8", "--epochs", "3", "--test", "0.4"]


def make_runs(folder):
    """A finished run and one that was interrupted after its first epoch, on the same pictures."""
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    photos = make_folder(folder / "photos", counts=(12, 9, 9, 8))
    with contextlib.redirect_stdout(io.StringIO()):
        image_folder.main([str(photos), *RECIPE, "--run-dir", str(folder / "finished")])
        with contextlib.suppress(KeyboardInterrupt):
            image_folder.main([str(photos), *RECIPE, "--run-dir", str(folder / "going")], callbacks=[Stop()])
    return photos


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def garbage(path):
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 500).astype("uint8").tobytes())


def missing(path):
    path.unlink()


def foreign(path):
    """Another file of the same kind."""
    if path.suffix == ".json":
        path.write_text(json.dumps({"epochs": 3, "colour": "red"}))
    elif path.suffix == ".csv":
        path.write_text("name,price\nbread,3\n")
    elif path.suffix == ".npz":
        np.savez(path, other=np.arange(3))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("letter.txt", "Dear reader")


def as_list(path):
    path.write_text("[1, 2]")


def pickled(path):
    np.savez(path, images=np.array([{"a": 1}], dtype=object), labels=np.array([None], dtype=object))


def no_number(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1].replace(lines[-1].split(",")[1], "many")]) + "\n")


def relabelled(path):
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace("disc", "ring"), *lines[2:]]) + "\n")


KINDS = {"": (cut, empty, flip, garbage, missing, foreign), ".json": (as_list,), ".npz": (pickled,)}
MORE = {"history.csv": (no_number,), "pictures.csv": (relabelled,)}
FILES = {
    "finished": (
        "settings.json", "data.json", "samples.npz", "history.csv", "last.keras", "best.keras", "classifier.keras",
        "metrics.json", "predictions.npz", "calibration.json", "pictures.csv", "manifest.json",
    ),
    "going": ("settings.json", "data.json", "history.csv", "checkpoint-0002.keras", "pictures.csv", "manifest.json"),
}  # fmt: skip


def commands(state, folder):
    """Command lines that read the folder of a run."""
    if state == "going":
        return {"resume": ["train", "image_folder", "--resume", "--run-dir", str(folder)]}
    out = folder.parent / "out.onnx"
    return {
        "report": ["report", str(folder)],
        "export": ["export", "onnx", str(folder), "-o", str(out), "--calibrated"],
        "explain": ["explain", str(folder), "sample:0", "-o", str(folder.parent / "explained")],
        "predict": ["predict", str(folder), str(next((folder.parent / "photos" / "disc").iterdir()))],
        "resume": ["train", "image_folder", "--resume", "--run-dir", str(folder)],
    }


#: Which files a command does not read, and so need not notice.
NOT_READ = {
    "report": {"settings.json", "last.keras", "best.keras", "pictures.csv"},
    "export": {"settings.json", "history.csv", "last.keras", "best.keras", "metrics.json", "pictures.csv"},
    "explain": {
        "settings.json", "history.csv", "last.keras", "best.keras", "metrics.json", "predictions.npz",
        "calibration.json", "pictures.csv",
    },
    "predict": {"settings.json", "history.csv", "last.keras", "best.keras", "metrics.json", "pictures.csv"},
    "resume": {"samples.npz", "classifier.keras", "metrics.json", "predictions.npz", "calibration.json"},
}  # fmt: skip


def run(command):
    """Exit code and what was said on stderr, and of another checkpoint; an error that escapes is no exit code."""
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(told):
        try:
            code = main(command)
        except SystemExit as ended:
            code = ended.code
        except BaseException as error:
            return None, f"{type(error).__name__}: {str(error)[:200]}"
    fallback = [line for line in told.getvalue().splitlines() if "is taken" in line]
    return code, "\n".join([*fallback, said.getvalue().strip()]).strip()


def trials(folder, states=("finished", "going"), kinds=None):
    """Name, and None or what is wrong, of every trial on copies of the runs in `folder`."""
    for state in states:
        for name in filter(lambda each: (folder / state / each).exists(), FILES[state]):
            for damage in (*KINDS[""], *KINDS.get(Path(name).suffix, ()), *MORE.get(name, ())):
                if kinds is not None and damage not in kinds:
                    continue
                for title, command in commands(state, folder / "copy").items():
                    if name in NOT_READ[title]:
                        continue
                    shutil.rmtree(folder / "copy", ignore_errors=True)
                    shutil.copytree(folder / state, folder / "copy")
                    damage(folder / "copy" / name)
                    code, said = run(command)
                    yield f"{title}, {state}: {name} {damage.__name__}", verdict(name, damage, code, said)


def verdict(name, damage, code, said):
    if code == 0 and name == "manifest.json" and damage is missing:
        return None  # as in runs of version 0.1
    if code == 0 and name.startswith("checkpoint"):  # there is another one, and the run goes on from that
        return None if damage is missing or (name in said and "is taken" in said) else f"says nothing: {said}"
    if code == 2 and len(said.splitlines()) == 1 and said.startswith("error: ") and len(said) < 700:
        return None if name in said else f"does not name the file: {said}"
    return f"exit code {code}: {said[-300:]}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        make_runs(Path(scratch))
        count, wrong = 0, 0
        for title, fault in trials(Path(scratch)):
            count += 1
            if fault:
                wrong += 1
                print(f"{title}: {fault}")
        print(f"{count} trials, {wrong} of them not one line that names the file.")
        sys.exit(1 if wrong else 0)
