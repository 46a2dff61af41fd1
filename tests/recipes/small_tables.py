"""Small tables of experiments, and what their runs could have left."""

from pathlib import Path
from types import SimpleNamespace

from keras_gssl.runs.result import RunResult, Scores

ROOT = Path(__file__).parents[2]


SMALL = """
title = "CIFAR"
seeds = [0, 1]
[settings]
epochs = 2
[[columns]]
name = "CIFAR 0.05"
recipe = "cifar10_lt"
imbalance_ratio = 0.05
[[columns]]
name = "CIFAR 0.02"
recipe = "cifar10_lt"
imbalance_ratio = 0.02
[[rows]]
name = "Plain"
method = "ce"
paper = [80.0, nan]
[[rows]]
name = "Gated"
method = "moe"
tasks = ["lorot", "flip"]
"""


#: A table whose runs train on 42 pictures.
OF_PICTURES = """
title = "Shapes"
seeds = [0]
[settings]
epochs = 2
image_size = 32
backbone = "resnet8"
[[columns]]
name = "Shapes"
recipe = "image_folder"
source = "{}"
[[rows]]
name = "Plain"
method = "ce"
[[rows]]
name = "Gated"
method = "moe"
tasks = ["lorot", "flip"]
"""


def ended_at_once(run):
    """In place of `runner.started`: a process that has ended, with the exit code that `run(command, log)` returns."""

    def started(command, log, cores, jobs):
        code = run(command, log)
        return SimpleNamespace(returncode=code, poll=lambda: code)

    return started


def result(run, last, best, full_length=True):
    """What a run could have left."""

    def scores(epoch, accuracy):
        return Scores(epoch, accuracy, accuracy, accuracy, None, None, 0.1, [accuracy])

    return RunResult(
        last_epoch=scores(run.settings.epochs - 1, last),
        best_epoch=scores(0, best),
        method=run.settings.method,
        settings=run.settings.to_json(),
        full_length=full_length,
        milestones={"learning_rate_drops": [], "reweighting": 0},
        data={},
        wall_time_seconds=1.0,
        versions={},
        precision="float32",
        hardware="none",
    )
