"""Fonts for names in any script: Matplotlib's own has Latin, Greek and Cyrillic letters and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

OWN = "DejaVu Sans"
NO_LETTERS = ("Last Resort",)  # fonts that draw a box for everything


def drawable(text: str) -> str:
    """The text with characters that no font of this machine has, and control characters, as their numbers.

    Example:

    >>> from keras_gssl.report.fonts import drawable
    >>> drawable("caf\\u00e9 \\x1b[31m")
    'café \\\\x1b[31m'
    """
    return "".join(letter if _family_of(letter) else letter.encode("unicode_escape").decode() for letter in text)


@contextmanager
def fonts_for(texts: Iterable[str]) -> Iterator[None]:
    """Matplotlib's settings under which these texts are drawn as they are, without boxes and formulas."""
    from matplotlib import rc_context

    families = dict.fromkeys(family for text in texts for letter in text if (family := _family_of(letter)))
    with rc_context({"font.family": [OWN, *(each for each in families if each != OWN)], "text.parse_math": False}):
        yield


@cache
def _family_of(letter: str) -> str | None:
    """A font that has this character."""
    if not letter.isprintable():
        return None
    return next((family for family, letters in _letters().items() if ord(letter) in letters), None)


@cache
def _letters() -> dict[str, Any]:
    """Characters of every font of this machine, Matplotlib's own first."""
    from matplotlib.font_manager import fontManager, get_font

    found: dict[str, Any] = {OWN: set()}
    for entry in sorted(
        fontManager.ttflist, key=lambda entry: (entry.name != OWN, entry.style != "normal", entry.weight != 400)
    ):
        if found.get(entry.name) or entry.name.startswith(NO_LETTERS):
            continue
        try:
            found[entry.name] = set(get_font(entry.fname).get_charmap())
        except (OSError, RuntimeError):  # a font file that is damaged
            continue
    return found
