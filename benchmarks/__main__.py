"""Measure training, evaluation and the input pipeline, ours beside PyTorch, in interleaved rounds.

python -m benchmarks                                # about 20 minutes on two cores; writes benchmarks/results/cpu.json
python -m benchmarks --variants train_float32 torch_float32 --rounds 3
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.variants import STEPS, VARIANTS

RESULTS = Path(__file__).parent / "results"
TORCH_ON_CPU = ("torch_float32", "torch_float32_channels_last", "torch_bfloat16_channels_last")
#: Name in the results: (numerator, denominator), both in images per second; a tuple stands for the fastest of several.
RATIOS: dict[str, tuple[str, str | tuple[str, ...]]] = {
    "train_float32_vs_torch_float32": ("train_float32", "torch_float32"),
    "train_bfloat16_vs_torch_float32": ("train_bfloat16", "torch_float32"),
    "train_bfloat16_vs_torch_best": ("train_bfloat16", TORCH_ON_CPU),
    "gated_vs_plain_step_time": ("train_float32_plain_ldam", "train_float32"),
    "fit_vs_bare_steps_time": ("bare_steps_float32", "train_float32"),
    "pipeline_vs_training": ("pipeline", ("train_float32", "train_bfloat16")),
    "evaluate_vs_torch": ("evaluate_float32", "torch_evaluate_float32"),
}


class Worker:
    """A variant in a process of its own; see `benchmarks.worker`."""

    def __init__(self, name: str):
        self.name = name
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self._answer()
        self.first_round_after = time.perf_counter() - start
        self.rounds: list[float] = []
        self.peak_mib = 0.0

    def measure(self) -> float:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.rounds.append(answer["images_per_second"])
        self.peak_mib = answer["peak_mib"]
        return self.rounds[-1]

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with exit code {self._process.wait()}")
        return json.loads(line)


def ratios(rounds: dict[str, list[float]]) -> dict[str, dict[str, Any]]:
    """For each ratio whose variants were measured: its value in every round, and the median."""
    found = {}
    for name, (numerator, denominator) in RATIOS.items():
        rivals = (denominator,) if isinstance(denominator, str) else denominator
        if numerator not in rounds or not all(rival in rounds for rival in rivals):
            continue
        per_round = [
            above / max(below)
            for above, *below in zip(rounds[numerator], *(rounds[rival] for rival in rivals), strict=True)
        ]
        found[name] = {"median": statistics.median(per_round), "rounds": per_round}
    return found


def machine() -> dict[str, Any]:
    from keras_gssl.precision import BFLOAT16_INSTRUCTIONS, cpu_flags
    from keras_gssl.training import hardware

    packages = ("keras_gssl", "tensorflow", "keras", "torch", "numpy")
    installed = {each.metadata["Name"].lower().replace("-", "_") for each in importlib.metadata.distributions()}
    return {
        "hardware": hardware(),
        "bfloat16_instructions": sorted(cpu_flags() & set(BFLOAT16_INSTRUCTIONS)),
        "python": sys.version.split()[0],
        "versions": {name: importlib.metadata.version(name) for name in packages if name in installed},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME")
    parser.add_argument("--output", type=Path, default=None, help="default: benchmarks/results/cpu.json or gpu.json")
    arguments = parser.parse_args()

    about = machine()
    print(f"{about['hardware']}; {arguments.rounds} rounds of {STEPS} steps", flush=True)
    workers = []
    for name in arguments.variants:
        workers.append(Worker(name))
        print(f"   {name}: ready after {workers[-1].first_round_after:.1f} s", flush=True)
    for number in range(arguments.rounds):
        shown = ", ".join(f"{worker.name} {worker.measure():.0f}" for worker in workers)
        print(f"round {number + 1}, images/s: {shown}", flush=True)
    for worker in workers:
        worker.stop()

    measured = {
        worker.name: {
            "images_per_second_median": statistics.median(worker.rounds),
            "images_per_second_rounds": worker.rounds,
            "peak_memory_mib": worker.peak_mib,
            "seconds_from_process_start_to_first_round": worker.first_round_after,
        }
        for worker in workers
    }
    results = {
        **about,
        "steps_per_round": STEPS,
        "ratios": ratios({worker.name: worker.rounds for worker in workers}),
        "measured": measured,
    }
    kind = "gpu" if "GPU" in about["hardware"] or "NVIDIA" in about["hardware"] else "cpu"
    output = arguments.output or RESULTS / f"{kind}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    print()
    for name, entry in measured.items():
        print(f"{name:<34}{entry['images_per_second_median']:>10.0f} images/s{entry['peak_memory_mib']:>8.0f} MiB")
    for name, ratio in results["ratios"].items():
        spread = f"{min(ratio['rounds']):.2f} to {max(ratio['rounds']):.2f}"
        print(f"{name:<34}{ratio['median']:>10.2f}   ({spread})")
    print(f"Written to {output}")


if __name__ == "__main__":
    main()
