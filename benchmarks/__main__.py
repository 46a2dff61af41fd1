"""Measure training, evaluation, the input pipeline and inference, ours beside PyTorch, in interleaved rounds.

python -m benchmarks                                # about 25 minutes on two cores; writes benchmarks/results/cpu.json
python -m benchmarks --variants train_float32 torch_float32 --rounds 3
python -m benchmarks --into docs/speed.md           # also puts the figures into the page
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes import Worker
from benchmarks.report import write_into
from benchmarks.variants import FIRST_STEP, GROUPS, INFERENCE, STEPS, TRAINING, VARIANTS

RESULTS = Path(__file__).parent / "results"
OURS = ("train_float32", "train_bfloat16")
TORCH = (
    "torch_float32",
    "torch_float32_channels_last",
    "torch_bfloat16_channels_last",
    "torch_float32_compiled",
    "torch_bfloat16_compiled",
)
#: Name in the results: (numerator, denominator), both in images per second; of several the fastest counts.
RATIOS: dict[str, tuple[str | tuple[str, ...], str | tuple[str, ...]]] = {
    "train_float32_vs_torch_float32": ("train_float32", "torch_float32"),
    "train_bfloat16_vs_torch_float32": ("train_bfloat16", "torch_float32"),
    "train_best_vs_torch_best": (OURS, TORCH),
    "fused_vs_stock_norm": ("train_float32", "train_float32_stock_norm"),
    "gated_vs_plain_step_time": ("train_float32_plain_ldam", "train_float32"),
    "look_ahead_vs_plain_step_time": ("train_float32_plain_ldam", "train_float32_look_ahead"),
    "fast_vs_torch_best": ("recipe_fast_float32", TORCH),
    "fit_vs_bare_steps_time": ("bare_steps_float32", "train_float32"),
    "pipeline_vs_training": ("pipeline", OURS),
    "evaluate_vs_torch": ("evaluate_float32", "torch_evaluate_float32"),
    "onnx_vs_keras_batch_1": ("onnx_batch_1", "keras_batch_1"),
    "onnx_vs_keras_batch_256": ("onnx_batch_256", "keras_batch_256"),
}


def measure_group(names: Sequence[str], rounds: int) -> list[Worker]:
    """The variants of a group, each in its process, in turn, round after round."""
    workers = [Worker(name) for name in names]  # they make themselves ready side by side
    for worker in workers:
        worker.first_round()
        print(f"   {worker.name}: ready", flush=True)
    for number in range(rounds):
        shown = ", ".join(f"{worker.name} {worker.measure():.0f}" for worker in workers)
        print(f"round {number + 1}, images/s: {shown}", flush=True)
    for worker in workers:
        worker.stop()
    return workers


def first_steps(names: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Seconds from the start of a process to its first finished training step."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            worker = Worker(name, steps=1)
            seconds[name].append(worker.first_round())
            worker.stop()
    return seconds


def ratios(rounds: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """For each ratio whose variants were measured: its value in every round, and the median."""
    found = {}
    for name, (numerator, denominator) in RATIOS.items():
        above, below = ((each,) if isinstance(each, str) else each for each in (numerator, denominator))
        if not rounds.keys() >= {*above, *below}:
            continue
        fastest = (map(max, zip(*(rounds[each] for each in group), strict=True)) for group in (above, below))
        per_round = [ours / theirs for ours, theirs in zip(*fastest, strict=True)]
        found[name] = {"median": statistics.median(per_round), "rounds": per_round}
    return found


def machine() -> dict[str, Any]:
    from keras_gssl.runs.evaluation import hardware
    from keras_gssl.runs.precision import processor

    packages = ("keras_gssl", "tensorflow", "keras", "torch", "onnxruntime", "numpy")
    installed = {each.metadata["Name"].lower().replace("-", "_") for each in importlib.metadata.distributions()}
    return {
        "hardware": hardware(),
        "bfloat16_instructions": sorted(processor()[1] & {"amx_bf16", "avx512_bf16"}),
        "python": sys.version.split()[0],
        "versions": {name: importlib.metadata.version(name) for name in packages if name in installed},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--starts", type=int, help="how often the first step is timed (default: as --rounds)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*TRAINING, *INFERENCE], metavar="NAME")
    parser.add_argument("--output", type=Path, default=None, help="default: benchmarks/results/cpu.json or gpu.json")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="also put the figures between the marks in this page")
    arguments = parser.parse_args()

    about = machine()
    print(f"{about['hardware']}; {arguments.rounds} rounds of {STEPS} steps", flush=True)
    workers: list[Worker] = []
    for group in GROUPS:
        if names := [name for name in group if name in arguments.variants]:
            workers += measure_group(names, arguments.rounds)
    times = arguments.rounds if arguments.starts is None else arguments.starts
    starts = first_steps([name for name in FIRST_STEP if name in arguments.variants], times) if times else {}

    results = {
        **about,
        "steps_per_round": STEPS,
        "ratios": ratios({worker.name: worker.rounds for worker in workers}),
        "measured": {
            worker.name: {
                "images_per_second_median": statistics.median(worker.rounds),
                "images_per_second_rounds": worker.rounds,
                "peak_memory_mib": worker.peak_mib,
            }
            for worker in workers
        },
        "seconds_to_first_step": {
            name: {"median": statistics.median(seconds), "rounds": seconds} for name, seconds in starts.items()
        },
    }
    kind = "gpu" if "GPU" in about["hardware"] or "NVIDIA" in about["hardware"] else "cpu"
    output = arguments.output or RESULTS / f"{kind}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    print()
    for name, entry in results["measured"].items():
        print(f"{name:<34}{entry['images_per_second_median']:>10.0f} images/s{entry['peak_memory_mib']:>8.0f} MiB")
    for name, start in results["seconds_to_first_step"].items():
        print(f"{name:<34}{start['median']:>10.1f} s from process start to the first finished step")
    for name, ratio in results["ratios"].items():
        spread = f"{min(ratio['rounds']):.2f} to {max(ratio['rounds']):.2f}"
        print(f"{name:<34}{ratio['median']:>10.2f}   ({spread})")
    print(f"Written to {output}")
    if arguments.into:
        write_into(arguments.into, RESULTS)


if __name__ == "__main__":
    main()
