"""Kills a run at random moments until it is done, again and again: what comes out is what an undisturbed run gives.

`python -m tests.kills 50` kills so many times, over start, steps, evaluation, checkpoints, report and export.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from tests.pictures import make_folder

RECIPE = ["--image-size", "32", "--batch-size", "8", "--backbone", "resnet8", "--epochs", "3", "--test", "0.4"]
MOST_KILLS = 4  # of one run, then it is left alone


def work(photos: Path, run: Path) -> int:
    """Train, or the rest of it, and export: the commands of a person who asks again after every crash."""
    from keras_gssl.cli import main

    command = ["train", "image_folder", str(photos), *RECIPE, "--run-dir", str(run)]
    if not (run / "model_card.md").exists():  # written last
        code = main([*command, *(["--resume"] if (run / "settings.json").exists() else [])])
        if code:
            return code
    exported = run.with_suffix(".onnx")
    return 0 if exported.exists() else main(["export", "onnx", str(run), "-o", str(exported)])


def start(photos: Path, run: Path) -> int:
    """The number of a process that works; packages are loaded before it is forked, which saves most of its time."""
    number = os.fork()
    if number:
        return number
    with run.with_suffix(".log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = 1
    try:
        code = work(photos, run)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def phase(run: Path) -> str:
    """How far a run had come when it was killed."""
    names = {path.name for path in run.iterdir()} if run.exists() else set()
    if any(name.startswith("partial-") for name in names):
        return "while a file was written"
    if run.with_suffix(".onnx").exists():
        return "after the export"
    if "metrics.json" in names:
        return "report or export"
    if "last.keras" in names:
        return "last evaluation"
    checkpoints = sum(name.startswith("checkpoint-") for name in names)
    return f"after checkpoint {checkpoints}" if checkpoints else "first epoch" if "settings.json" in names else "start"


def differences(whole: Path, run: Path) -> list[str]:
    """What of a run is not, bit for bit, as it is in an undisturbed one."""
    import keras

    from keras_gssl.runs.folder import RunFolder

    found = []
    for name in ("last.keras", "best.keras", "classifier.keras"):
        models = [keras.models.load_model(folder / name) for folder in (whole, run)]
        states = [[*model.get_weights(), *_optimizer(model)] for model in models]
        if not all(np.array_equal(one, other) for one, other in zip(*states, strict=True)):
            found.append(name)
    one, other = (RunFolder(folder).read_history() for folder in (whole, run))
    if [{**row, "seconds": ""} for row in one] != [{**row, "seconds": ""} for row in other]:
        found.append("history.csv")
    one, other = (RunFolder(folder).read_arrays(folder / "predictions.npz") for folder in (whole, run))
    if set(one) != set(other) or not all(np.array_equal(one[name], other[name]) for name in one):
        found.append("predictions.npz")
    found += [f"{path.name} left behind" for path in run.iterdir() if path.name.startswith(("partial-", "checkpoint-"))]
    missing = {path.name for path in whole.iterdir()} - {path.name for path in run.iterdir()}
    return [*found, *(f"no {name}" for name in sorted(missing))]


def _optimizer(model) -> list[np.ndarray]:
    optimizer = getattr(model, "optimizer", None)
    return [] if optimizer is None else [variable.numpy() for variable in optimizer.variables]


def main(kills: int, seed: int = 0) -> int:
    import tensorflow  # noqa: F401  before the processes that work are forked; it starts nothing by itself

    import keras_gssl.cli
    import keras_gssl.export.exporting
    import keras_gssl.recipes.experiment  # noqa: F401

    draw = random.Random(seed)
    phases: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as scratch:
        photos = make_folder(Path(scratch) / "photos", counts=(12, 9, 9, 8))
        whole = Path(scratch) / "whole"
        begin = time.monotonic()
        number = start(photos, whole)
        if os.waitpid(number, 0)[1]:
            sys.exit(whole.with_suffix(".log").read_text())
        duration = time.monotonic() - begin
        done = runs = 0
        while done < kills:
            runs += 1
            run = Path(scratch) / f"run-{runs}"
            for attempt in range(MOST_KILLS + 1):
                spared = attempt == MOST_KILLS or done == kills
                status = ended(start(photos, run), None if spared else draw.uniform(0, duration))
                if status is None:
                    done += 1
                    phases[phase(run)] += 1
                    continue
                if status:
                    log = run.with_suffix(".log").read_text().strip().splitlines() or ["no output"]
                    wrong.append(f"run {runs}: exit code {os.waitstatus_to_exitcode(status)}: {log[-1]}")
                else:
                    wrong += in_a_process(whole, run, f"run {runs}")
                break
            shutil.rmtree(run, ignore_errors=True)
    print("\n".join([*wrong, *(f"{count:>4} kills {name}" for name, count in sorted(phases.items()))]))
    print(f"{done} kills in {runs} runs, {len(wrong)} not as if nothing had happened")
    return 1 if wrong else 0


def ended(number: int, patience: float | None) -> int | None:
    """The status with which a process ended; None where it took longer than `patience` in seconds and was killed."""
    if patience is None:
        return os.waitpid(number, 0)[1]
    end = time.monotonic() + patience
    while time.monotonic() < end:
        gone, status = os.waitpid(number, os.WNOHANG)
        if gone:
            return status
        time.sleep(0.005)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    return None


def in_a_process(whole: Path, run: Path, name: str) -> list[str]:
    """The differences, found in a process of its own: this one must not start TensorFlow before it forks."""
    read, write = os.pipe()
    if not os.fork():
        os.close(read)
        try:
            text = "\n".join(differences(whole, run))
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.wait()
    return [f"{name}: {line}" for line in text.splitlines()]


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
