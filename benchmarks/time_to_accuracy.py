"""Minutes of training until the test accuracy passes published figures, from the histories of runs.

    python -m keras_gssl.recipes.cifar10_lt --recipe fast --method moe --run-dir runs/fast-0   # and others, the paper's
    python -m benchmarks.time_to_accuracy --torch runs/torch-0                       # PyTorch, the reference's settings
    python -m benchmarks.time_to_accuracy fast=runs/fast-0,runs/fast-1 paper=runs/paper-0 torch=runs/torch-0

A name stands for the runs of several seeds, evaluated at the same epochs, whose accuracies are averaged.
Minutes are those of the epochs, evaluations included. Compare only what ran on one machine, and alone on it.

Runs of several machines, or of one that had other work: take the epochs from them, and the speed from a benchmark that
measured the variants side by side. Minutes are then those of training alone.

    python -m benchmarks --variants recipe_fast_float32 train_float32 --starts 0 --output speeds.json
    python -m benchmarks.time_to_accuracy --speeds speeds.json \\
        fast=runs/fast-0,runs/fast-1@recipe_fast_float32 paper=runs/paper-0@train_float32
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

#: Published best epochs on CIFAR-10-LT 0.01: LDAM-DRW, and all three tasks with the frozen gate.
THRESHOLDS = (0.7703, 0.8167)
#: Training images of CIFAR-10-LT 0.01, each of which is seen once in an epoch.
IMAGES = 12_406

#: Epoch, minutes up to its end, and accuracy, for each epoch that was evaluated.
Curve = list[tuple[int, float, float]]


def read(folder: str, images_per_second: float | None = None) -> Curve:
    """The curve of a run; minutes are what it took, or what its epochs take at a given speed."""
    minutes, found = 0.0, []
    with (Path(folder) / "history.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            minutes += (IMAGES / images_per_second if images_per_second else float(row["seconds"])) / 60
            if row.get("val_accuracy"):
                found.append((int(row["epoch"]) + 1, minutes, float(row["val_accuracy"])))
    return found


def passing(curves: Sequence[Curve], threshold: float) -> tuple[int, float] | None:
    """Epoch and minutes at which the mean over the runs passes a threshold for the first time; None if it does not."""
    runs = [{epoch: (minutes, accuracy) for epoch, minutes, accuracy in curve} for curve in curves]
    for epoch in sorted(set.intersection(*map(set, runs))):
        if statistics.mean(run[epoch][1] for run in runs) > threshold:
            return epoch, statistics.mean(run[epoch][0] for run in runs)
    return None


def train_torch(folder: Path, seed: int, epochs: int) -> None:
    """CIFAR-10-LT 0.01 with the reference's settings in PyTorch: step schedule, LDAM with deferred re-weighting."""
    import torch

    import keras_gssl as gssl
    from benchmarks.torch_peer import Trainer

    torch.manual_seed(seed)
    data = gssl.data.cifar10_lt(0.01)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(data.train_images, data.train_labels, device, False, True)
    schedule = gssl.StepSchedule(0.1, 5, {round(0.8 * epochs): 0.01, round(0.9 * epochs): 0.0001})
    reweighting = gssl.DeferredReweighting(data.class_counts, round(0.8 * epochs))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "seconds", "val_accuracy"])
        for epoch in range(epochs):
            start = time.perf_counter()
            for group in trainer.optimizer.param_groups:
                group["lr"] = schedule(epoch)
            trainer.class_weights = torch.tensor(reweighting(epoch), dtype=torch.float32, device=device)
            trainer.epoch()
            accuracy = trainer.evaluate(data.test_images, data.test_labels) if epoch % 5 == 4 else ""
            writer.writerow([epoch, time.perf_counter() - start, accuracy])
            file.flush()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.time_to_accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="*", metavar="NAME=DIR,DIR[@VARIANT]", help="run folders to compare")
    parser.add_argument("--speeds", metavar="FILE", type=Path, help="results of a benchmark, with the variants named")
    parser.add_argument("--output", metavar="FILE", type=Path, help="also write the curves, and the speeds, here")
    parser.add_argument("--torch", metavar="DIR", help="train the PyTorch peer into this folder first")
    parser.add_argument("--seed", type=int, default=0, help="of the PyTorch peer")
    parser.add_argument("--epochs", type=int, default=200, help="of the PyTorch peer")
    options = parser.parse_args(argv)
    if options.torch:
        train_torch(Path(options.torch), options.seed, options.epochs)
    benchmark = json.loads(options.speeds.read_text()) if options.speeds else {}
    speeds, written = benchmark.get("measured", {}), {}
    head = " | ".join(f"{threshold:.2%}" for threshold in THRESHOLDS)
    lines = [f"| runs | n | last epoch | {head} |", f"|---|---|---|{'---|' * len(THRESHOLDS)}"]
    for each in options.runs:
        name, _, rest = each.partition("=")
        folders, _, variant = rest.rpartition("@") if speeds else (rest, "", "")
        if not folders:
            expected = "NAME=DIR,DIR@VARIANT" if speeds else "NAME=DIR,DIR"
            parser.error(f"expected {expected}, received {each!r}")
        if variant and variant not in speeds:
            parser.error(
                f"--speeds must name a file with {variant}, received one with {', '.join(speeds) or 'nothing'}"
            )
        speed = speeds[variant]["images_per_second_median"] if variant else None
        curves = [read(folder, speed) for folder in folders.split(",")]
        written[name] = {"speed_of": variant, "epoch_minutes_accuracy": curves}
        ends = [curve[-1] for curve in curves]
        cells = [passing(curves, threshold) for threshold in THRESHOLDS]
        shown = " | ".join("not passed" if at is None else f"{at[1]:.0f} min (epoch {at[0]})" for at in cells)
        last, minutes = statistics.mean(end[2] for end in ends), statistics.mean(end[1] for end in ends)
        lines.append(f"| {name} | {len(curves)} | {last:.2%} after {minutes:.0f} min | {shown} |")
    print("\n".join(lines))
    if options.output:
        options.output.write_text(json.dumps({**benchmark, "runs": written}, indent=1) + "\n")


if __name__ == "__main__":
    main()
