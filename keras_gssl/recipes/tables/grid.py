"""A table as a TOML file: rows (methods) times columns (data sets) times seeds gives runs."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.errors import UserError
from keras_gssl.recipes.catalogue import RECIPES
from keras_gssl.recipes.command_line import check_values, read_toml
from keras_gssl.runs.methods import METHODS, apply_method, beneath, check_method
from keras_gssl.runs.settings import TrainingSettings

KEYS = {
    "the file": {"title", "seeds", "against", "settings", "columns", "rows"},
    "a column": {"name", "recipe"},
    "a row": {"name", "paper"},
}


#: Settings that change how a run is made, not what it measures.
NOT_MEASURED = ("precision", "devices", "cache", "run_dir", "data_dir", "quick", "resume")


LONGEST_NAME = 200  # file systems take 255, and endings come to it


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of a table; `title` is what a person is told of it, by default its name."""

    recipe: str
    settings: TrainingSettings
    title: str = dataclasses.field(default="", compare=False)

    @property
    def name(self) -> str:
        """A file name; two runs that measure different things have different names."""
        settings, method = self.settings, self.settings.method
        parts, told = [self.recipe], {"epochs", "seed", "recipe", *NOT_MEASURED}
        preset = settings.preset(settings.recipe, settings.epochs)
        if hasattr(settings, "imbalance_ratio"):
            parts.append(f"{settings.imbalance_ratio:g}")
            told.add("imbalance_ratio")
        parts += [method] if settings.recipe == "paper" else [settings.recipe, method]
        told |= set(METHODS.get(method, ()))
        if settings.tasks and method != "lorot-e":
            parts += [*settings.tasks, settings.gating]
            told |= {"tasks", "gating"}
        for field in dataclasses.fields(settings):
            value = getattr(settings, field.name)
            if field.name not in (*told, "validation_freq") and value != preset.get(field.name, field.default):
                shown = "-".join(map(str, value)) if isinstance(value, tuple) else value
                parts.append(f"{field.name}-{slug(str(shown))}")
        parts += [str(settings.epochs), "epochs", f"seed{settings.seed}"]
        name = "_".join([*parts, "quick"] if settings.quick else parts)
        if len(name) <= LONGEST_NAME:
            return name
        return f"{name[: LONGEST_NAME - 17]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"

    def argv(self, run_dir: Path) -> list[str]:
        """Command line of the recipe. Every setting is in it, so a later change of a default changes nothing."""
        arguments: list[str] = []
        for field in dataclasses.fields(self.settings):
            value = getattr(self.settings, field.name)
            option = "--" + field.name.replace("_", "-")
            if field.name in ("run_dir", "resume") or value is None:
                continue
            if field.metadata["positional"]:
                arguments.insert(0, str(value))
                continue
            if isinstance(value, bool):
                arguments.append(option if value else option.replace("--", "--no-", 1))
            elif isinstance(value, tuple):
                arguments += [option, *map(str, value)]
            else:
                arguments += [option, str(value)]
        return [*arguments, "--run-dir", str(run_dir)]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One method on one data set: the paper's figure, if it has one, and the runs that give ours."""

    row: str
    column: str
    paper: float | None
    runs: tuple[Run, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows times columns; `against` is the row that the others are compared with, over the same seeds."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]
    against: str | None = None

    @property
    def has_paper(self) -> bool:
        """Whether there are figures of the paper to compare with."""
        return any(cell.paper is not None for cell in self.cells.values())

    @property
    def runs(self) -> list[Run]:
        """All runs, the first seed of every cell first: whatever is stopped early has covered more of the table."""
        longest = max(len(cell.runs) for cell in self.cells.values())
        return [cell.runs[index] for index in range(longest) for cell in self.cells.values() if index < len(cell.runs)]


def read_table(path: str | Path, overrides: Mapping[str, Any] | None = None, seeds: Sequence[int] = ()) -> Table:
    """A table from its TOML file.

    Args:
        path: The file: `title`, `seeds`, `[settings]` for all runs, `[[columns]]` with `name`, `recipe` and settings,
            `[[rows]]` with `name`, settings (usually `method`) and `paper`, one figure per column (`nan` for none);
            `against`, the name of the row that the others are compared with.
        overrides: Settings that replace the file's.
        seeds: Replace the file's.

    Raises:
        UserError: One line that names what is wrong in the file.
    """
    content = read_toml(path, "the table")
    unknown = sorted(set(content) - KEYS["the file"])
    if unknown or not content.get("rows") or not content.get("columns"):
        raise UserError(
            f"{path}: expected title, seeds, [settings], [[columns]] and [[rows]]; "
            + (f"received {unknown[0]!r} as well." if unknown else "rows or columns are missing.")
        )
    rows, columns, file_seeds = content["rows"], content["columns"], content.get("seeds", [0])
    _check_types(path, content, file_seeds)
    for kind, entries in (("row", rows), ("column", columns)):
        names = [entry.get("name") for entry in entries]
        if None in names or len(set(names)) < len(names):
            raise UserError(f"{path}: every {kind} needs a name of its own, received {names}.")
    against = content.get("against")
    if against is not None and against not in [row["name"] for row in rows]:
        raise UserError(f"{path}: against must be the name of a row, received {against!r}.")
    cells = {}
    for row in rows:
        paper = row.get("paper", [math.nan] * len(columns))
        if len(paper) != len(columns):
            raise UserError(
                f"{path}: row {row['name']!r} has {len(paper)} figures of the paper for {len(columns)} columns; "
                f"write nan where there is none."
            )
        for column, figure in zip(columns, paper, strict=True):
            common = {**content.get("settings", {}), **_without(column, KEYS["a column"])}
            own = {**_without(row, KEYS["a row"]), **(overrides or {})}
            where = f"{path}: row {row['name']!r}, column {column['name']!r}"
            cells[row["name"], column["name"]] = Cell(
                row["name"],
                column["name"],
                None if math.isnan(figure) else float(figure),
                tuple(
                    make_run(where, column.get("recipe"), common, {**own, "seed": seed})
                    for seed in (seeds or file_seeds)
                ),
            )
    return Table(
        str(content.get("title", Path(path).stem)),
        tuple(column["name"] for column in columns),
        tuple(row["name"] for row in rows),
        cells,
        against,
    )


def select(table: Table, rows: Sequence[str] = (), columns: Sequence[str] = ()) -> Table:
    """The part of a table with these rows and columns; all of them by default."""
    for kind, wanted, known in (("row", rows, table.rows), ("column", columns, table.columns)):
        wrong = [name for name in wanted if name not in known]
        if wrong:
            raise UserError(f"The table has no {kind} {wrong[0]!r}; it has {', '.join(map(repr, known))}.")
    kept_rows = tuple(name for name in table.rows if not rows or name in rows)
    kept_columns = tuple(name for name in table.columns if not columns or name in columns)
    cells = {(r, c): cell for (r, c), cell in table.cells.items() if r in kept_rows and c in kept_columns}
    against = table.against if table.against in kept_rows else None
    return dataclasses.replace(table, columns=kept_columns, rows=kept_rows, cells=cells, against=against)


def _check_types(path: str | Path, content: Mapping[str, Any], seeds: Any) -> None:
    def is_list(value: Any, kind: Any) -> bool:
        return isinstance(value, list) and bool(value) and all(isinstance(each, kind) for each in value)

    papers = [row["paper"] for row in content["rows"] if "paper" in row] if is_list(content["rows"], dict) else []
    for expected, fits in (
        ("rows as [[rows]]", is_list(content["rows"], dict)),
        ("columns as [[columns]]", is_list(content["columns"], dict)),
        ("settings as [settings]", isinstance(content.get("settings", {}), dict)),
        ("seeds as a list of whole numbers", is_list(seeds, int)),
        ("paper as a list of numbers, nan for none", all(is_list(paper, (int, float)) for paper in papers)),
    ):
        if not fits:
            raise UserError(f"{path}: expected {expected}.")


def make_run(where: str, recipe: Any, common: Mapping[str, Any], own: Mapping[str, Any]) -> Run:
    """A run of a recipe with `own` settings over `common` ones; `UserError` begins with `where`."""
    if recipe not in RECIPES:
        raise UserError(f"{where}: recipe must be one of {', '.join(RECIPES)}; received {recipe!r}.")
    settings_class = RECIPES[recipe].settings
    try:
        base, given = (check_values(where, values, settings_class) for values in (common, own))
        method = given.pop("method", base.pop("method", None))
        base = {**beneath(settings_class, {**base, **given}, method), **base}
        settings = settings_class(**apply_method(settings_class, base, given, method))
        check_method(settings, method)
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error
    return Run(recipe, settings)


def _without(entry: Mapping[str, Any], keys: set[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}


def slug(text: str) -> str:
    """Text as a file name."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")
