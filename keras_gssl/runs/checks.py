"""What each setting may be: its type, its choices, and the numbers that can be meant."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from keras_gssl.bounds import ABOVE_ZERO, BELOW_ONE, COUNT, FACTOR, NOT_NEGATIVE, SEED, SHARE, WHOLE, Bounds

#: By the settings' names, which mean the same in every recipe. Each of several numbers must be within.
BOUNDS: Mapping[str, Bounds] = {
    **dict.fromkeys(("epochs", "batch_size", "devices", "validation_freq", "drop_epochs", "fold"), COUNT),
    **dict.fromkeys(
        ("warmup_epochs", "freeze_epochs", "plain_epochs", "retrain_epochs", "reweight_epoch", "teachers"), WHOLE
    ),
    **dict.fromkeys(("seed", "split_seed"), SEED),
    **dict.fromkeys(
        ("ssl_ratio", "gradient_ratio", "weight_decay", "adjustment", "margin", "distil_weight"), NOT_NEGATIVE
    ),
    **dict.fromkeys(("drop_factor", "imbalance_ratio", "backbone_learning_rate_factor"), FACTOR),
    **dict.fromkeys(("share", "mixing_share"), SHARE),
    **dict.fromkeys(("momentum", "average"), BELOW_ONE),
    "gate_weights": NOT_NEGATIVE,
    "learning_rate": ABOVE_ZERO,
    "image_size": Bounds(least=8, most=4096, whole=True),
}


def check_fields(settings: Any) -> None:
    """Raise `ValueError` in one line for the first setting that cannot be meant."""
    kinds = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        value, kind = getattr(settings, field.name), kinds[field.name]
        if typing.get_origin(kind) is tuple and not isinstance(value, tuple):
            raise ValueError(f"{field.name} must be a tuple, received {value!r}")
        for each in value if isinstance(value, tuple) else (value,):
            _check(field, kind, each)


def _check(field: dataclasses.Field[Any], kind: Any, value: Any) -> None:
    bounds, choices = BOUNDS.get(field.name), field.metadata["choices"]
    complaint = bounds.complaint(value) if bounds else None
    if complaint is not None:
        raise ValueError(f"{field.name} {complaint}")
    if choices and value not in choices:
        raise ValueError(f"{field.name} must be one of {', '.join(map(str, choices))}; received {value!r}")
    allowed = _types(kind)
    if not isinstance(value, allowed) and not (float in allowed and isinstance(value, int)):
        expected = " or ".join(NAMES[each] for each in allowed)
        raise ValueError(f"{field.name} must be {expected}, received {value!r}")
    if isinstance(value, str) and ("\0" in value or len(value) > LONGEST_TEXT):
        shown = value if len(value) <= 60 else f"{value[:57]}..."
        raise ValueError(f"{field.name} must be a name of at most {LONGEST_TEXT} letters, received {shown!r}")


LONGEST_TEXT = 4000  # no path may be longer
NAMES = {str: "a name", int: "a whole number", float: "a number", bool: "True or False", types.NoneType: "None"}


def _types(kind: Any) -> tuple[type, ...]:
    """The types that a value, or each of several, may have."""
    if typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind) or (kind,)
