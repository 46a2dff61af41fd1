"""The frame of a report: one self-contained HTML page, for phones and wide screens, light and dark."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

from keras_gssl.report.tables import SCRIPT as SORTING
from keras_gssl.report.tables import STYLE as TABLES

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f8fa; --ink: #1f2328; --soft: #57606a; --faint: #d0d7de;
  --c1: #0072b2; --c2: #c04e00; --c3: #007d5a; --c4: #a3487f; --c5: #8a6d00; --c6: #2b7fb8; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --card: #161b22; --ink: #e6edf3; --soft: #9da7b3;
  --faint: #3d444d; --c1: #56b4e9; --c2: #f0883e; --c3: #2fc79a; --c4: #e39bc5; --c5: #f0e442; --c6: #9ecbff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 74rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); }
section { background: var(--card); border: 1px solid var(--faint); border-radius: .6rem; padding: 1rem; min-width: 0; }
section.wide { grid-column: 1 / -1; }
section svg { display: block; width: 100%; height: auto; max-height: 38rem; }
section svg text { font-family: system-ui, sans-serif; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--faint); }
td { white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
td:first-child { white-space: normal; overflow-wrap: break-word; min-width: 9rem; }
th { color: var(--soft); font-weight: 600; }
.gallery { display: grid; gap: .6rem; grid-template-columns: repeat(auto-fill, minmax(6.5rem, 1fr)); }
.gallery.small { grid-template-columns: repeat(auto-fill, minmax(4.5rem, 5.5rem)); }
.gallery.pairs { grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)); }
figure { margin: 0; min-width: 0; }
img { width: 100%; image-rendering: pixelated; border-radius: .3rem; display: block; }
figcaption { font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; margin: 0; } dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; } h3 { font-size: 1rem; margin: .8rem 0 .3rem; }
"""


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """The whole page. `lead` and the sections are HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}{TABLES}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{html.escape(title)}</h1>\n{lead}\n<div class="cards">\n' + "\n".join(sections) + "\n</div>\n</main>\n"
        f"<script>{SORTING}</script>\n</body>\n</html>\n"
    )


def section(title: str, content: str, note: str = "", wide: bool = False) -> str:
    """A part of the page under a heading, with an explanation."""
    shown = f'<p class="soft">{html.escape(note)}</p>' if note else ""
    return f"<section{' class=wide' if wide else ''}>\n<h2>{html.escape(title)}</h2>\n{shown}{content}\n</section>"


def definitions(values: Mapping[str, Any]) -> str:
    items = "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(shown(value))}</dd>" for key, value in values.items())
    return f"<dl>{items}</dl>"


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def shown(value: Any) -> str:
    """A setting as text."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    if value is None:
        return "-"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
