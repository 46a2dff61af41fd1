"""Cost per image as images, tasks, batches and data sets grow, and whether memory stays flat for streamed data.

python -m benchmarks.growth                        # about 15 minutes on two cores; writes benchmarks/results/growth.*
python -m benchmarks.growth --axes batch_size
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
AXES: dict[str, tuple[int, ...]] = {
    "image_size": (32, 64, 96, 128, 224),
    "tasks": (1, 2, 4, 8),
    "batch_size": (32, 128, 512, 1024),
    "data_set_size": (10_000, 100_000, 1_000_000),
}
TITLES = {
    "image_size": "side of the image (batch 32)",
    "tasks": "pretext tasks (batch 128)",
    "batch_size": "images per batch",
    "data_set_size": "images, generated and streamed:\na whole pass of the input pipeline",
}
ROUNDS, SECONDS = 3, 8.0


class GeneratedImages:
    """Images that exist only while a batch needs them, so that a data set of any size can be streamed."""

    dtype = np.dtype("uint8")

    def __init__(self, count: int, side: int = 32):
        self.shape = (count, side, side, 3)

    def __len__(self) -> int:
        return self.shape[0]

    def reader(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        def read(indices: tf.Tensor) -> tf.Tensor:
            ramp = tf.range(int(np.prod(self.shape[1:])), dtype=tf.int32)
            pixels = tf.cast(indices, tf.int32)[:, None] * 7919 + ramp
            return tf.reshape(tf.cast(pixels % 256, tf.uint8), (-1, *self.shape[1:]))

        return read


def measure(axis: str, value: int) -> dict[str, Any]:
    """One point, in this process: images per second in several rounds, and the peak of memory."""
    import keras_gssl as gssl

    side = value if axis == "image_size" else 32
    batch = {"image_size": 32, "batch_size": value}.get(axis, 128)
    count = value if axis == "data_set_size" else 16 * batch
    tasks = [gssl.Flip(name=f"flip_{number}") for number in range(value if axis == "tasks" else 3)]
    labels = np.arange(count) % 10
    images = GeneratedImages(count, side)
    training_set = gssl.data.TrainingSet(images, labels, (0.5,) * 3, (0.25,) * 3, batch, tasks)
    if axis == "data_set_size":
        rounds = [_whole_pass(training_set)]
    else:
        model = gssl.GatedSSLModel(gssl.backbones.resnet32(images.shape[1:]), 10, tasks)
        model.compile(optimizer=gssl.SGD(0.01), loss=gssl.LDAMLoss([count // 10] * 10))
        rounds = _steps(model, training_set)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"images_per_second_rounds": rounds, "peak_memory_mib": peak}


def _whole_pass(training_set: Any) -> float:
    batches = iter(training_set.from_epoch(0))
    next(batches)
    start = time.perf_counter()
    for _ in range(training_set.steps_per_epoch):
        next(batches)
    return training_set.num_images / (time.perf_counter() - start)


def _steps(model: Any, training_set: Any) -> list[float]:
    model.make_train_function()
    batches = list(training_set.from_epoch(0).take(2))
    float(model.train_function(iter(batches[:1]))["loss"])
    rounds = []
    for _ in range(ROUNDS):
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS / ROUNDS or not steps:
            float(model.train_function(iter([batches[steps % 2]]))["loss"])
            steps += 1
        rounds.append(steps * training_set.batch_size / (time.perf_counter() - start))
    return rounds


def draw(growth: dict[str, Any], path: Path) -> None:
    """One panel per axis: milliseconds per image, and peak memory."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    figure, panels = pyplot.subplots(2, 2, figsize=(9, 6.4), layout="constrained")
    for panel, (axis, points) in zip(panels.flat, growth["axes"].items(), strict=False):
        values = [point["value"] for point in points]
        cost = [1000 / statistics.median(point["images_per_second_rounds"]) for point in points]
        panel.plot(values, cost, "o-", color="#0072b2", label="ms per image")
        panel.set(xscale="log", xlabel=TITLES[axis], ylabel="ms per image")
        if max(cost) > 5 * min(cost):
            panel.set_yscale("log")
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
            panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            panel.set_ylim(min(cost) / 2, max(cost) * 2)
        else:
            panel.set_ylim(0, max(cost) * 1.3)
        panel.set_xticks(values, [f"{value:,}" for value in values])
        panel.minorticks_off()
        panel.margins(x=0.1)
        panel.yaxis.label.set_color("#0072b2")
        memory = panel.twinx()
        peaks = [point["peak_memory_mib"] / 1024 for point in points]
        memory.plot(values, peaks, "s--", color="#d55e00")
        memory.set_ylim(0, max(peaks) * 1.15)
        memory.set_ylabel("peak memory, GiB", color="#d55e00")
        panel.grid(color="#d0d7de", linewidth=0.8)
        for each in (panel, memory):
            each.spines[:].set_visible(False)
            each.tick_params(length=0)
    figure.suptitle(f"A training step of ResNet-32 in float32; {growth['hardware']}", fontsize=11)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--output", type=Path, default=RESULTS / "growth.json")
    parser.add_argument("--picture", type=Path, default=RESULTS.parents[1] / "docs" / "images" / "growth.png")
    parser.add_argument("--point", nargs=2, metavar=("AXIS", "VALUE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(measure(arguments.point[0], int(arguments.point[1]))))
        return

    from benchmarks.__main__ import machine

    growth: dict[str, Any] = {**machine(), "axes": {}}
    for axis in arguments.axes:
        growth["axes"][axis] = []
        for value in AXES[axis]:
            # In a process of its own, so that its peak of memory is its own.
            command = [sys.executable, "-m", "benchmarks.growth", "--point", axis, str(value)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{axis} {value}: {done.stderr.strip().splitlines()[-1]}")
            point = {"value": value, **json.loads(done.stdout.splitlines()[-1])}
            growth["axes"][axis].append(point)
            speed = statistics.median(point["images_per_second_rounds"])
            print(f"{axis:<14}{value:>10,}{speed:>10.1f} images/s{point['peak_memory_mib']:>8.0f} MiB", flush=True)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(growth, indent=2) + "\n")
    draw(growth, arguments.picture)
    print(f"Written to {arguments.output} and {arguments.picture}")


if __name__ == "__main__":
    main()
