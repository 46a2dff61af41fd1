"""What becomes of a run of a table, and where that is seen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from keras_gssl.recipes.tables.grid import Run
from keras_gssl.recipes.tables.ledger import same_experiment
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult, read_result

RETRIES = 3


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a run ended: with a result, or with a reason why it has none."""

    run: Run
    folder: Path
    result: RunResult | None = None
    failure: str | None = None


def log_file(folder: Path) -> Path:
    return folder.with_name(folder.name + ".log")


def arguments(run: Run, folder: Path) -> list[str]:
    """The recipe's command line: a run that has begun goes on where it was."""
    return run.argv(folder) + (["--resume"] if RunFolder(folder).settings.exists() else [])


def finished(run: Run, folder: Path) -> Outcome | None:
    """The outcome of a run whose metrics are there; of another experiment in its folder, a failure."""
    path = RunFolder(folder).metrics
    if not path.exists():
        return None
    result = read_result(RunFolder(folder).manifest.check(path))
    if same_experiment(run.recipe, result.settings, run.settings.effective().to_json()):
        return Outcome(run, folder, result)
    return Outcome(run, folder, failure="its folder holds a finished run of other settings; choose another --runs-dir")
