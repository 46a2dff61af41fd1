"""What several trainings at once bring, each on its share of the cores, over one after the other on all of them.

python -m benchmarks.jobs                         # as many as there are cores; writes benchmarks/results/jobs.json
python -m benchmarks.jobs --jobs 4 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.__main__ import RESULTS, machine
from benchmarks.processes import Worker
from benchmarks.variants import VARIANTS
from keras_gssl.sharing import shares_of, usable_cores

USUAL = ("recipe_fast_float32", "own_pictures_32", "own_pictures_64")


def compared(name: str, jobs: int, rounds: int) -> dict[str, Any]:
    """Images per second of one training on all cores, and of `jobs` together, in turn."""
    alone = Worker(name)
    together = [Worker(name, cores=cores) for cores in shares_of(usable_cores(), jobs)]
    for worker in (alone, *together):
        worker.first_round()
    sums: list[float] = []

    def at_once() -> None:
        for worker in together:
            worker.begin()
        sums.append(sum(worker.ended() for worker in together))

    for number in range(rounds):
        order = (alone.measure, at_once)
        for measure in order if number % 2 == 0 else reversed(order):  # machines get faster and slower
            measure()
        print(f"{name}, round {number + 1}: {alone.rounds[-1]:.0f} and {sums[-1]:.0f} images/s", flush=True)
    for worker in (alone, *together):
        worker.stop()
    ratios = [all_of_them / one for all_of_them, one in zip(sums, alone.rounds, strict=True)]
    return {
        "in_turn": alone.rounds,
        "at_once": sums,
        "ratio": {"median": statistics.median(ratios), "rounds": ratios},
        "peak_memory_mib_of_each": max(worker.peak_mib for worker in together),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--jobs", type=int, default=len(usable_cores()), help="at once (default: one for each core)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=USUAL, metavar="NAME")
    parser.add_argument("--output", type=Path, default=RESULTS / "jobs.json")
    arguments = parser.parse_args(argv)
    found: dict[str, Any] = {}
    results = {**machine(), "jobs": arguments.jobs, "images_per_second": found}
    for name in arguments.variants:
        found[name] = compared(name, arguments.jobs, arguments.rounds)
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")
    for name, entry in found.items():
        ratio = entry["ratio"]
        spread = f"{min(ratio['rounds']):.2f} to {max(ratio['rounds']):.2f}"
        print(f"{name:<24}{arguments.jobs} at once over in turn: {ratio['median']:.2f} ({spread})")
    print(f"Written to {arguments.output}")


if __name__ == "__main__":
    main()
