"""Command lines of the recipes: one option per setting, a TOML file underneath, mistakes as one line."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.arguments import Parser
from keras_gssl.errors import UserError, as_command
from keras_gssl.recipes.run_dirs import choose_folder
from keras_gssl.runs.methods import METHODS, apply_method, beneath, check_method
from keras_gssl.runs.presets import USUAL
from keras_gssl.runs.settings import Settings, TrainingSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def run(main: Callable[[Sequence[str] | None], Any], argv: Sequence[str] | None = None) -> None:
    """Run a recipe's `main` as a command, and end the process with its exit code."""
    sys.exit(run_as_command(main, argv))


def run_as_command(main: Callable[[Sequence[str] | None], Any], argv: Sequence[str] | None = None) -> int:
    """The same, returning the exit code."""
    kept = "what is finished is kept, and --resume (of a table: the same call) goes on from there"
    return as_command(lambda: main(argv), when_interrupted=kept)


def parse(settings_class: type[Settings], name: str, description: str, argv: Sequence[str] | None) -> Settings:
    """Settings from the command line, on top of `--config FILE`, on top of the defaults (or of the run to resume)."""
    parser = make_parser(settings_class, name, description)
    given = vars(parser.parse_args(argv))
    config = given.pop("config", None)
    try:
        from_file = read_config(config, settings_class) if config else {}
        file_method, given_method = from_file.pop("method", None), given.pop("method", None)
        if given.get("resume"):
            return _settings_to_resume(settings_class, name, {**from_file, **given}, given_method or file_method)
        preset = beneath(settings_class, {**from_file, **given}, given_method or file_method)
        base = apply_method(settings_class, preset, from_file, file_method if given_method is None else None)
        settings = settings_class(**apply_method(settings_class, base, given, given_method))
        check_method(settings, given_method or file_method)
        _check_effect(settings, {**from_file, **given})
        return settings
    except UserError:
        raise
    except (ValueError, TypeError) as error:
        raise UserError(f"{error} (see --help)") from error


def make_parser(settings_class: type[TrainingSettings], name: str, description: str) -> argparse.ArgumentParser:
    """A parser with an option for every field of the settings."""
    parser = Parser(
        prog=f"python -m keras_gssl.recipes.{name}",
        description=description,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file with settings; options on the command line override it"
    )
    parser.add_argument(
        "--method",
        choices=tuple(METHODS),
        metavar="{" + ",".join(METHODS) + "}",
        help="a name for the settings that make a method (tasks, gating, loss, ...) (default: moe; "
        + "; ".join(f"with --recipe {recipe} {_usual_method(recipe)}" for recipe in USUAL)
        + ")",
    )
    defaults = beneath(settings_class, {}, None)
    for field in dataclasses.fields(settings_class):
        kind = typing.get_type_hints(settings_class)[field.name]
        _add_option(parser, field, kind, defaults.get(field.name, field.default))
    return parser


def _usual_method(recipe: str) -> str:
    """What a recipe trains by itself, for the help."""
    method, ingredients = USUAL[recipe]
    brought = ", ".join(f"{name} {' '.join(value)}" for name, value in ingredients.items())
    return f"{method} with {brought}, but moe where an option about tasks is given"


def _add_option(parser: argparse.ArgumentParser, field: dataclasses.Field[Any], kind: Any, usual: Any) -> None:
    option = "--" + field.name.replace("_", "-")
    help_text = field.metadata["help"].replace("%", "%%")
    if field.metadata["positional"]:
        parser.add_argument(field.name, nargs="?", metavar=field.metadata["positional"], help=help_text)
        return
    if kind is bool:
        parser.add_argument(option, action=argparse.BooleanOptionalAction, help=help_text)
        return
    choices = field.metadata["choices"]
    names = "{" + ",".join(map(str, choices)) + "}" if choices else field.name.upper()
    if isinstance(field.default, tuple):
        shown = " ".join(map(str, usual)) or "none"
        item = typing.get_args(kind)[0]
        parser.add_argument(
            option, nargs="*", type=item, action=_AsTuple, metavar=names, help=f"{help_text} (default: {shown})"
        )
        return
    kinds = [each for each in typing.get_args(kind) if each is not type(None)] or [kind]
    item = _number_or_text if set(kinds) == {float, str} else kinds[0]
    default = "" if usual is None else f" (default: {usual})"
    parser.add_argument(option, type=item, choices=choices, metavar=names, help=help_text + default)


def _number_or_text(text: str) -> float | str:
    """A share, or a folder's name."""
    try:
        return float(text)
    except ValueError:
        return text


class _AsTuple(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, tuple(values))


def read_config(path: str, settings_class: type[TrainingSettings]) -> dict[str, Any]:
    """Settings from a TOML file, or `UserError` for an unreadable file, an unknown key or a value of the wrong type."""
    return check_values(path, read_toml(path, "--config"), settings_class)


def read_toml(path: str | Path, what: str) -> dict[str, Any]:
    """A TOML file, always UTF-8, or `UserError` where it cannot be read; `what` it is, for the message."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"Cannot read {what} {path}: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not valid TOML: {error}.") from error


def read_value(text: str) -> Any:
    """A value on a command line, as in TOML; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def check_values(where: str, values: Mapping[str, Any], settings_class: type[TrainingSettings]) -> dict[str, Any]:
    """Settings read from TOML with the types of the settings' fields; `UserError` names what does not fit."""
    types = {**typing.get_type_hints(settings_class), "method": str}
    known = sorted(["method", *(field.name for field in dataclasses.fields(settings_class))])
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UserError(f"{where} has the unknown setting {unknown[0]!r}; known are {', '.join(known)}.")
    return {name: _checked(where, name, value, types[name]) for name, value in values.items()}


def _checked(path: str, name: str, value: Any, kind: Any) -> Any:
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if isinstance(value, str):  # as people write it on command lines: cutout,randaugment
            words = [word.strip() for word in value.split(",")] if value else []
            value = [word if item is str else read_value(word) for word in words]
        many = value if isinstance(value, list) else [value]
        return tuple(_checked(path, f"each of {name}", each, item) for each in many)
    wanted = tuple(typing.get_args(kind)) or (kind,)
    if float in wanted and type(value) is int:
        return float(value)
    if type(value) not in wanted:
        expected = " or ".join(each.__name__ for each in wanted if each is not type(None))
        raise UserError(f"{path}: {name} must be {expected}, received {value!r}.")
    return value


def _settings_to_resume(
    settings_class: type[Settings], name: str, values: dict[str, Any], method: str | None
) -> Settings:
    """The settings of the run to resume; a setting or a method given again must not differ from it."""
    folder = choose_folder(name, values.get("run_dir"), resume=True)
    known = {field.name for field in dataclasses.fields(settings_class)}
    written = folder.read_json(folder.settings)
    unknown = next((key for key in written if key not in known), None)
    if unknown is not None:
        raise UserError(
            f"{folder.settings} has the setting {str(unknown)[:40]!r}, which {name} does not know: resume the run with "
            f"the recipe that began it."
        )
    saved = {key: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    for key, value in apply_method(settings_class, saved, values, method).items():
        if key in saved and saved[key] != value:
            raise UserError(
                f"The run in {folder.path} has {key}={saved[key]}, received {value}: a resumed run keeps its settings. "
                f"Leave the option out, or start a new run in another --run-dir."
            )
    return settings_class(**{**saved, **values, "run_dir": str(folder.path)})


def _check_effect(settings: TrainingSettings, given: Mapping[str, Any]) -> None:
    """Raise `ValueError` where something is asked for that the recipe has left without effect.

    Not where the schedule or the loss is asked for too, or comes with a method: a table gives its runs everything, and
    what it says for all of them need not concern each.
    """
    kind, preset = type(settings), settings.preset(settings.recipe)
    for names, needed, value in (
        (("drop_epochs", "drop_factor"), "schedule", "steps"),
        (("reweight_epoch",), "loss", "ldam"),
    ):
        now = getattr(settings, needed)
        brought = needed not in given and now == preset.get(needed, getattr(kind, needed))
        asked = [name for name in names if name in given and given[name] != getattr(kind, name)]
        if asked and brought and now != value:
            raise ValueError(
                f"{asked[0]} has no effect with {needed} {now}, which the recipe {settings.recipe} may have brought: "
                f"add --{needed} {value}, or leave it out"
            )


def describe_settings(settings: TrainingSettings) -> str:
    """Recipe, method, and the settings that are neither's, for the first line of a run."""
    kind, method = type(settings), settings.method if settings.method in METHODS else None
    usual = kind(**apply_method(kind, kind.preset(settings.recipe), {}, method)).to_json()
    changed = {key: value for key, value in settings.to_json().items() if usual[key] != value}
    shown = (
        f"{key}={' '.join(map(str, value)) or 'none'}" if isinstance(value, tuple) else f"{key}={value}"
        for key, value in changed.items()
    )
    return f"recipe {settings.recipe}, method {settings.method}; " + (", ".join(shown) or "all else as they have it")
