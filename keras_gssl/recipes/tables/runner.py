"""Runs on this machine: one after the other, or some at once."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from keras_gssl.errors import INTERRUPTED, TERMINATED
from keras_gssl.interrupts import Terminated
from keras_gssl.recipes.tables.grid import Run
from keras_gssl.recipes.tables.outcome import RETRIES, Outcome, arguments, finished, log_file
from keras_gssl.runs.folder import RunFolder
from keras_gssl.sharing import held_to, shares_of, usable_cores

POLL_SECONDS = 0.2


def run_here(runs: Sequence[Run], folders: Path, jobs: int = 1) -> Iterator[Outcome]:
    """Each run in a process of its own, so that not even a crash of TensorFlow stops the others.

    Args:
        runs: Runs.
        folders: Where run folders are made.
        jobs: How many go on at once, each on its share of cores and memory; one alone, or the only one left, has all.

    Yields:
        Outcomes, in the order in which the runs end.
    """
    missing = sum(not RunFolder(folders / run.name).metrics.exists() for run in runs)
    jobs = max(1, min(jobs, missing))
    waiting = deque(_Training(run, folders / run.name, jobs) for run in runs)
    going: list[_Training] = []
    free = shares_of(usable_cores(), jobs) if jobs > 1 else [[]]
    with _ending_in_good_order(going):
        while waiting or going:
            while waiting and free:
                training = waiting.popleft()
                if outcome := training.outcome():
                    yield outcome
                else:
                    going.append(training)
                    training.begin(free.pop(0))
            ended = [each for each in going if each.ended()]
            for each in reversed(ended):
                going.remove(each)
                free.append(each.cores)
                waiting.appendleft(each)  # it has an outcome now, or is resumed
            if not ended:
                time.sleep(POLL_SECONDS)


@dataclasses.dataclass
class _Training:
    """A run and the process that trains it: it is begun, and resumed where that was killed."""

    run: Run
    folder: Path
    jobs: int
    begun: int = 0
    process: subprocess.Popen[bytes] | None = None
    cores: list[int] = dataclasses.field(default_factory=list)

    def begin(self, cores: list[int]) -> None:
        print(f"{self.run.title or self.run.name} ...", flush=True)
        command = [sys.executable, "-m", f"keras_gssl.recipes.{self.run.recipe}", *arguments(self.run, self.folder)]
        log_file(self.folder).parent.mkdir(parents=True, exist_ok=True)
        with log_file(self.folder).open("a", encoding="utf-8") as log:
            self.process = started(command, log, cores, self.jobs)
        self.cores, self.begun = cores, self.begun + 1

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def outcome(self) -> Outcome | None:
        """How the run ended, or None where a process is to be begun for it."""
        code = 0 if self.process is None else self.process.returncode
        if code > 0 and code not in (INTERRUPTED, TERMINATED):  # it failed by itself and would again
            return Outcome(self.run, self.folder, failure=f"exit code {code}: {_last_line(log_file(self.folder))}")
        if self.begun > RETRIES:
            killed = Outcome(self.run, self.folder, failure=f"killed {self.begun} times ({code})")
            return finished(self.run, self.folder) or killed
        return finished(self.run, self.folder)


def started(command: Sequence[str], log: IO[str], cores: Sequence[int], jobs: int) -> subprocess.Popen[bytes]:
    """The process of a run, one of so many; without cores it takes those it finds."""
    with held_to(cores, jobs) as environment:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


@contextlib.contextmanager
def _ending_in_good_order(going: Sequence[_Training]) -> Iterator[None]:
    """Who stops the table stops its runs in good order, which then have saved their state."""
    try:
        yield
    except BaseException as stop:
        processes = [each.process for each in going if each.process is not None]
        if isinstance(stop, Terminated) or not isinstance(stop, KeyboardInterrupt):
            for process in processes:  # of a terminal's Ctrl-C they know; asked twice, they end at once
                process.terminate()
        for process in processes:
            process.wait()
        raise


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"
