"""Which runs a comparison consists of: methods times seeds, or times folds."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.data.pictures.archives import TFDS
from keras_gssl.errors import UserError
from keras_gssl.recipes.catalogue import RECIPES
from keras_gssl.recipes.tables.command import assignment
from keras_gssl.recipes.tables.grid import Run, make_run
from keras_gssl.recipes.tables.outcome import finished
from keras_gssl.runs.methods import METHODS as KNOWN
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.titles import PLAIN, title

#: What is compared unless the user says otherwise, the plainest first.
METHODS = (*PLAIN, "balanced:augmentations=randaugment", "augment-only", "moe")


def usual_methods(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What is compared where nothing is said: without those that settings of all runs make equal to others.

    >>> from keras_gssl.recipes.compare.plan import METHODS, usual_methods
    >>> set(METHODS) - set(usual_methods({"augmentations": "cutout", "epochs": 9}))
    {'balanced:augmentations=randaugment'}
    """
    return tuple(each for each in METHODS if settings.keys().isdisjoint(read_method(each)[1]))


#: Settings that no method has for itself: which pictures are trained and tested on, and what makes pairs.
OF_ALL = {"seed", "quick", "resume", "run_dir"} | {
    field.name for recipe in RECIPES.values() for field in dataclasses.fields(recipe.settings)
} - {field.name for field in dataclasses.fields(TrainingSettings)} - {"image_size", "fit", "horizontal_flip"}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        name: Of the data, for the page.
        methods: Names as the page shows them.
        seeds, folds: How many of each; 0 folds for one split.
        runs: For each method its runs, in the same order for all: pairs differ in the method alone.
    """

    name: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    folds: int
    runs: Mapping[str, tuple[Run, ...]]

    @property
    def in_order(self) -> list[Run]:
        """The first pair of every method first: whatever is stopped early can be compared."""
        return [run for pair in zip(*self.runs.values(), strict=True) for run in pair]

    @property
    def overlap(self) -> float:
        """Test over training pictures where runs are folds of one data set, else 0."""
        return 1 / (self.folds - 1) if self.folds else 0.0

    @property
    def unit(self) -> str:
        """What a pair is."""
        return "folds" if self.folds else "seeds"

    def measured(self, folders: Path) -> Plan:
        """This comparison of those methods of which a run is finished; all of it where fewer than two have one."""
        kept = {
            name: runs for name, runs in self.runs.items() if any(finished(run, folders / run.name) for run in runs)
        }
        return self if len(kept) < 2 else dataclasses.replace(self, methods=tuple(kept), runs=kept)

    def results(self, folders: Path) -> dict[str, list[RunResult]]:
        """Of each method the results of those pairs that all methods have, in the same order."""
        found = {
            name: [getattr(finished(run, folders / run.name), "result", None) for run in runs]
            for name, runs in self.runs.items()
        }
        whole = [all(results) for results in zip(*found.values(), strict=True)]
        return {
            name: [result for result, kept in zip(results, whole, strict=True) if kept and result is not None]
            for name, results in found.items()
        }


def make_plan(
    source: str, methods: Sequence[str], seeds: Sequence[int], folds: int, settings: Mapping[str, Any]
) -> Plan:
    """The comparison of these methods.

    Args:
        source: A folder or list of pictures, or the name of a recipe with its own data.
        methods: Names of methods, see `METHODS`, each perhaps with settings of its own, as in `balanced:margin=0.2`.
        seeds: Of the training.
        folds: Test every picture once, in so many parts; 0: one split.
        settings: For all runs.

    Raises:
        UserError: The source is not there, a method or a setting is unknown, two are the same training, folds are asked
            for of data with a split of its own.
    """
    own = source in RECIPES and not Path(source).exists()
    recipe = source if own else "image_folder"
    if folds and own:
        raise UserError(f"folds are made of one's own pictures; {source} has a test set of its own.")
    if folds == 1 or folds < 0:
        raise UserError(f"folds must be at least 2, received {folds}.")
    if not own and not Path(source).exists() and not source.startswith(TFDS):
        raise UserError(f"There is no folder, list or recipe {source}; recipes are {', '.join(RECIPES)}.")
    if len(set(methods)) < len(methods) or len(methods) < 2:
        raise UserError(f"A comparison needs two methods or more, each named once; received {' '.join(methods)}.")
    if len(set(seeds)) < len(seeds):
        raise UserError(f"Seeds must differ, or a training would count twice; received {' '.join(map(str, seeds))}.")
    common = dict(settings) if own else {"source": source, **settings}
    parts: list[dict[str, Any]] = [{"fold": [number, folds]} for number in range(1, folds + 1)] if folds else [{}]
    runs: dict[str, tuple[Run, ...]] = {}
    for text in methods:
        method, own_settings = read_method(text)
        shared = sorted(set(own_settings) & OF_ALL)
        if shared:
            raise UserError(
                f"method {text}: {shared[0]} must be the same for all methods, or their runs are no pairs: give it as "
                f"a setting of all."
            )
        made = [
            make_run(f"method {text}", recipe, common, {"method": method, "seed": seed, **own_settings, **part})
            for seed in seeds
            for part in parts
        ]
        told = ", ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in own_settings.items())
        name = title(method, made[0].settings.loss) + (f" ({told})" if told else "")
        same = [other for other, others in runs.items() if others[0].name == made[0].name]
        if same:
            raise UserError(f"method {text} is the same training as {same[0]}: leave one of them out.")
        runs[name] = tuple(dataclasses.replace(run, title=f"{name}, {_which(run)}") for run in made)
    return Plan(source if own else Path(source).resolve().name, tuple(runs), tuple(seeds), folds, runs)


def read_method(text: str) -> tuple[str, dict[str, Any]]:
    """A method as it is named in a comparison, and the settings that it has of its own.

    >>> from keras_gssl.recipes.compare.plan import read_method
    >>> read_method("balanced:margin=0.2:epochs=50")
    ('balanced', {'margin': 0.2, 'epochs': 50})

    Raises:
        UserError: There is no such method, or a setting has no value.
    """
    method, *settings = text.split(":")
    if method not in KNOWN:
        raise UserError(f"There is no method {method}; methods are {', '.join(KNOWN)}.")
    for each in settings:
        if not each.partition("=")[2]:
            raise UserError(f"A method's own settings are METHOD:KEY=VALUE, received {text!r}.")
    return method, dict(assignment(each) for each in settings)


def _shown(value: Any) -> str:
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def _which(run: Run) -> str:
    fold = getattr(run.settings, "fold", None)
    return f"seed {run.settings.seed}" + (f", fold {fold[0]} of {fold[1]}" if fold else "")
