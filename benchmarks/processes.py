"""The processes in which variants are measured, seen from the one that measures."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.variants import STEPS
from keras_gssl.sharing import held_to


class Worker:
    """A variant in a process of its own, perhaps on some of the cores alone; see `benchmarks.worker`."""

    def __init__(self, name: str, steps: int = STEPS, cores: Sequence[int] = ()):
        self.name = name
        self._started = time.perf_counter()
        with held_to(cores) as environment:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**environment, "TF_CPP_MIN_LOG_LEVEL": "3", "BENCHMARK_STEPS": str(steps)},
            )
        self.rounds: list[float] = []
        self.peak_mib = 0.0

    def first_round(self) -> float:
        """Wait until it is ready; seconds from the start of its process."""
        self._answer()
        return time.perf_counter() - self._started

    def measure(self) -> float:
        self.begin()
        return self.ended()

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def ended(self) -> float:
        """Images a second of the round that was begun."""
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
