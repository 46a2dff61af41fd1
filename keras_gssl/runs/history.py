"""`history.csv`: one row per epoch, appended, so that a long run writes no more for an epoch than a short one."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.runs.manifest import DamagedFileError, Manifest


def read_history(path: Path, epochs: int | None = None) -> list[dict[str, str]]:
    """The rows of the first `epochs` epochs, or all whole ones.

    Raises:
        DamagedFileError: A row is no epoch of a training: cut, of another file, or with a value that is no number.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise _damaged(path, 1, "it is no text") from error
    whole = text.count("\n") - 1  # rows that end; one beyond them was being written when the process died
    rows: list[dict[str, str]] = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text, newline=""))):
        if number >= whole or (epochs is not None and number >= epochs):
            break
        complaint = _complaint(number, row)
        if complaint is not None:
            raise _damaged(path, number + 2, complaint)
        rows.append(row)
    return rows


def _complaint(number: int, row: Mapping[Any, Any]) -> str | None:
    if None in row or None in row.values():
        return "another number of columns than the first line"
    if row.get("epoch") != str(number):
        return f"expected epoch {number}, received {str(row.get('epoch'))[:40]!r}"
    for name, value in row.items():
        try:
            if value:
                float(value)
        except ValueError:
            return f"{name[:40]} is {value[:40]!r}, which is no number"
    return None


def _damaged(path: Path, line: int, what: str) -> DamagedFileError:
    return DamagedFileError(
        f"{path}, line {line}: {what}. The file is damaged or was altered: bring it back from a copy, or train anew in "
        f"another folder."
    )


class History:
    """Writes the rows of a run, after those that it has.

    Args:
        path: The file.
        manifest: Knows the checksum of the rows that are finished; a last one beyond them is not trusted.
        rows: Those that are there and stay.
    """

    def __init__(self, path: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]]):
        self.path, self.manifest = path, manifest
        self._kept: Sequence[Mapping[str, Any]] | None = rows
        self._columns: list[str] = []
        self._digest, self._size = hashlib.sha256(), 0

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; the file is written anew only where it has a column that none had before."""
        if self._kept is not None or not set(row) <= set(self._columns):
            rows = [*(read_history(self.path) if self._kept is None else self._kept), row]
            self._columns = list(dict.fromkeys(name for each in rows for name in each))
            self._digest, self._size, self._kept = hashlib.sha256(), 0, None
            text = self._as_text(rows, header=True)
            with self.manifest.replacing(self.path) as partial:
                partial.write_text(text, encoding="utf-8", newline="")
            self._count(text)
            return
        text = self._as_text([row], header=False)
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
        self._count(text)
        self.manifest.note_prefix(self.path, {"bytes": self._size, "sha256": self._digest.hexdigest()})

    def _as_text(self, rows: Sequence[Mapping[str, Any]], header: bool) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self._columns, restval="")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _count(self, text: str) -> None:
        content = text.encode("utf-8")
        self._digest.update(content)
        self._size += len(content)
