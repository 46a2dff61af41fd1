"""Files that are either as they were or wholly written, whenever a process dies."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

#: What `zipfile` raises for archives that are damaged, of another version or encrypted.
OF_ARCHIVES = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A name to write a file or folder under, which takes the place of `path` if the block ends without an error.

    Example:

    >>> from pathlib import Path
    >>> from keras_gssl.files import replacing
    >>> with replacing("notes.txt") as partial:
    ...     count = partial.write_text("all of it")
    >>> Path("notes.txt").read_text()
    'all of it'
    """
    path = Path(path)
    partial = path.with_name(f"partial-{path.name}")  # the suffix stays: some writers go by it
    remove(partial)
    try:
        yield partial
        if path.is_dir() and partial.is_dir():  # one folder cannot be renamed over another
            shutil.rmtree(path)
        os.replace(partial, path)
    finally:
        remove(partial)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table whose texts are texts to a spreadsheet, too; `from_cell` gives them as they were."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([to_cell(value) for value in row] for row in rows)


FORMULAS = tuple("=+-@\t\r")  # what a spreadsheet takes for the beginning of one


def to_cell(value: Any) -> Any:
    """A text that a spreadsheet would compute, or run, behind an apostrophe, which spreadsheets do not show."""
    return f"'{value}" if isinstance(value, str) and _computed(value) else value


def from_cell(text: str) -> str:
    return text[1:] if text.startswith("'") and _computed(text) else text


def _computed(text: str) -> bool:
    rest = text.lstrip("'")
    return len(rest) > 1 and rest.startswith(FORMULAS)


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def remove(path: Path) -> None:
    """Remove a file, or a folder with what is in it; nothing where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
