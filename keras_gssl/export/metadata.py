"""What an exported file says of itself, looked at before anything is done by it: it may be anybody's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from keras_gssl.errors import UserError

LARGEST = 1e9  # of a number; nan is not below it
TYPES = ("uint8", "float32")


def _are_numbers(value: Any, count: int | None = None) -> bool:
    is_list = isinstance(value, list) and (count is None or len(value) == count)
    return is_list and all(type(each) in (int, float) and abs(each) < LARGEST for each in value)


def _is_normalisation(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("inside"), bool)


def _are_thresholds(value: Any) -> bool:
    return isinstance(value, dict) and all(each is None or _are_numbers([each]) for each in value.values())


#: What each entry must be, as JSON.
ENTRIES: Mapping[str, Callable[[Any], bool]] = {
    "class_names": lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
    "image_shape": lambda value: _are_numbers(value, 3) and all(type(each) is int and each > 0 for each in value),
    "normalisation": _is_normalisation,
    "depth_range": lambda value: value is None or _are_numbers(value, 2),
    "thresholds": _are_thresholds,
}
NEEDED = ("image_shape", "normalisation", "input")


def check_metadata(what: object, metadata: Mapping[str, str]) -> None:
    """Raise `UserError` in one line where an entry is not as the exporters write it.

    Args:
        what: The file, for the message.
        metadata: Text by name.
    """
    for name in NEEDED:
        if name not in metadata:
            raise UserError(f"{what} does not say its {name}: export it again with this package.")
    for name, fits in ENTRIES.items():
        if name in metadata and not _fits(metadata[name], fits):
            raise UserError(
                f"{what} says of its {name} what cannot be: it is damaged, or was not made by this package."
            )
    if metadata["input"].split()[:1] not in [[each] for each in TYPES]:
        raise UserError(f"{what} says of its input neither {' nor '.join(TYPES)}: export it again with this package.")


def _fits(text: str, fits: Callable[[Any], bool]) -> bool:
    try:
        return fits(json.loads(text))
    except (ValueError, RecursionError):
        return False
