"""The methods of the paper's tables as names for settings, and what lies beneath the settings that are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_gssl.runs.presets import USUAL
from keras_gssl.runs.settings import Settings, TrainingSettings

#: What each method of the paper's tables fixes; everything else keeps its value.
METHODS: Mapping[str, Mapping[str, Any]] = {
    "ce": {"tasks": (), "loss": "ce", "pretraining": "none", "label_augmentation": "none"},
    "ldam-drw": {"tasks": (), "loss": "ldam", "pretraining": "none", "label_augmentation": "none"},
    "ssp": {"tasks": (), "pretraining": "rotation", "label_augmentation": "none"},
    "sla-sd": {"tasks": (), "pretraining": "none", "label_augmentation": "sla-sd"},
    "lorot-e": {"tasks": ("lorot",), "pretraining": "none", "label_augmentation": "none"},
    "moe": {"gating": "frozen", "pretraining": "none", "label_augmentation": "none"},
    "sum": {"gating": "none", "pretraining": "none", "label_augmentation": "none"},
    "augment-only": {"ssl_ratio": 0.0, "gradient_ratio": 0.0, "pretraining": "none", "label_augmentation": "none"},
    "balanced": {"tasks": (), "loss": "balanced", "pretraining": "none", "label_augmentation": "none"},
    "class-balanced": {"tasks": (), "loss": "class-balanced", "pretraining": "none", "label_augmentation": "none"},
}

#: Settings of pretext tasks: where one is given, the tasks are wanted.
OF_TASKS = {
    "tasks", "gating", "ssl_ratio", "gradient_ratio", "gate_weights", "task_heads", "task_map", "joint_labels", "draw",
    "share", "steering", "flip_axis",
}  # fmt: skip


def beneath(settings_class: type[Settings], given: Mapping[str, Any], method: str | None) -> dict[str, Any]:
    """The settings beneath those that are given: the recipe's, and those of its usual method and of what goes with that
    one, unless a method or anything about pretext tasks is given.
    """
    epochs, recipe = given.get("epochs"), given.get("recipe", settings_class.default_recipe)
    # What else the epochs are, is refused later.
    values = settings_class.preset(recipe, epochs if isinstance(epochs, int) and epochs > 0 else None)
    if recipe not in USUAL or method is not None or not OF_TASKS.isdisjoint(given):
        return values
    usual, ingredients = USUAL[recipe]
    kept = all(given.get(name, value) == value for name, value in METHODS[usual].items())
    return {**values, **METHODS[usual], **(ingredients if kept else {})}


def apply_method(
    settings_class: type[Settings], base: Mapping[str, Any], given: Mapping[str, Any], method: str | None
) -> dict[str, Any]:
    """Settings that make `method`: `given` over what the method fixes over `base`.

    What makes the method already is left as it is: with a base of `gating="rewarded"`, method `moe` keeps that gate.
    """
    plain = {**base, **given}
    if method is None:
        return plain
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; received {method!r}")
    try:
        if settings_class(**plain).method == method:
            return plain
    except ValueError:
        pass  # what the method fixes may mend it; if not, the caller's own attempt says what is wrong
    return {**base, **METHODS[method], **given}


def check_method(settings: TrainingSettings, method: str | None) -> None:
    """Raise `ValueError` where settings given beside a method make it another one."""
    if method is not None and settings.method != method and not settings.method.startswith(f"{method}+"):
        raise ValueError(
            f"method {method} contradicts the other settings (tasks {' '.join(settings.tasks) or 'none'}, gating "
            f"{settings.gating}, ssl_ratio {settings.ssl_ratio:g}, loss {settings.loss}), which make it "
            f"{settings.method}: leave one of them out"
        )
