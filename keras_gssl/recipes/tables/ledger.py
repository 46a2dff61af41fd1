"""The results ledger: one JSON file per finished real run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_gssl.errors import UserError
from keras_gssl.recipes.catalogue import RECIPES
from keras_gssl.recipes.tables.grid import NOT_MEASURED, Run
from keras_gssl.runs.result import RunResult, read_result, write_result

#: Two results that differ in these alone are of one experiment.
NEUTRAL = ("seed", "epochs", "validation_freq", *NOT_MEASURED)


@dataclasses.dataclass(frozen=True)
class Result:
    """One file of the ledger."""

    path: Path
    content: RunResult

    @property
    def seed(self) -> int:
        return self.content.settings["seed"]

    @property
    def epochs(self) -> int:
        return self.content.settings["epochs"]


class Ledger:
    """The results in a folder.

    Args:
        folder: Where the files are; made when the first one is written.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._results = [self._read(path) for path in sorted(self.folder.glob("*.json"))]

    def _read(self, path: Path) -> Result:
        content = read_result(path)
        if content.recipe not in RECIPES:
            raise UserError(
                f"{path} is not a result: its recipe is {content.recipe!r}, not one of {', '.join(RECIPES)}."
            )
        return Result(path, content)

    def of(self, run: Run) -> list[Result]:
        """Results of the run's experiment, whatever their seeds and lengths."""
        wanted = _identity(run.recipe, run.settings.to_json())
        return [
            result
            for result in self._results
            if result.content.recipe == run.recipe and _identity(run.recipe, result.content.settings) == wanted
        ]

    def find(self, run: Run) -> Result | None:
        """The result of exactly this run."""
        matching = (r for r in self.of(run) if (r.seed, r.epochs) == (run.settings.seed, run.settings.epochs))
        return next(matching, None)

    def add(self, run: Run, result: RunResult) -> Path:
        """Write the result of a finished run; a file of another experiment is never written over."""
        if run.settings.quick or result.settings.get("quick"):
            raise ValueError(f"{run.name} is a trial, not a result.")
        self.folder.mkdir(parents=True, exist_ok=True)
        path, number = self.folder / f"{run.name}.json", 1
        while path.exists():
            number += 1
            path = self.folder / f"{run.name}_{number}.json"
        content = dataclasses.replace(result, recipe=run.recipe)
        write_result(path, content)
        self._results.append(Result(path, content))
        return path


def same_experiment(recipe: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs measure the same, of the same seed and length, and both or neither as a trial."""
    told_apart = ("seed", "epochs", "quick")
    return _identity(recipe, one) == _identity(recipe, other) and all(
        one.get(key, False) == other.get(key, False) for key in told_apart
    )


def _identity(recipe: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    complete = {**_defaults(recipe), **settings}  # a file may be older than a setting
    return {
        key: tuple(value) if isinstance(value, list) else value for key, value in complete.items() if key not in NEUTRAL
    }


@functools.cache  # settings are checked when they are made, which for every run and every result takes long
def _defaults(recipe: str) -> dict[str, Any]:
    return RECIPES[recipe].settings().to_json()
