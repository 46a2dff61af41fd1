"""Lists of pictures: CSV files as people have them, the `path label` texts of the long-tail benchmarks, JSON lines."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from keras_gssl.data.pictures.decode import SUFFIXES
from keras_gssl.data.pictures.found import PART_NAMES, Columns, Found
from keras_gssl.errors import DataNotFoundError, UserError
from keras_gssl.files import from_cell

DELIMITERS = ",;\t|"
#: What people call the columns, in lower case without spaces and underscores.
USUAL = {
    "path": ("path", "file", "filename", "filepath", "image", "imagepath", "img", "imagename", "imageid", "picture"),
    "label": ("label", "class", "classname", "category", "target", "labelname", "labels", "dx", "diagnosis"),
    "split": ("split", "set", "subset", "part", "partition"),
    "group": (),  # nobody is to be surprised by groups that were not asked for
}


def read_list(file: Path, columns: Columns, folder: Path | None = None) -> Found:
    """Pictures and classes that a list names, one in a line.

    Read are CSV files with comma, semicolon, tab or bar, with or without a first line of column names, quotes, a
    byte-order mark, in UTF-8 or UTF-16; texts of `path label`, as ImageNet-LT, Places-LT and iNaturalist have them;
    tables with a column of 0 and 1 for each class; and JSON lines. A label is a name or a number. Paths may have
    backslashes, and lack the ending.

    Args:
        file: The list.
        columns: Names of its columns, where they are not among the usual ones.
        folder: Where its paths start from; default: its own folder.

    Raises:
        DataNotFoundError: It is no such list; the message says what was expected.
        UserError: A line lacks something, or has several labels.
    """
    table = _read_table(file)
    found_columns = _find(file, table, columns)
    if found_columns.label is None and found_columns.path is not None:
        return _one_hot(file, table, found_columns.path, folder or file.parent)
    if found_columns.path is None or found_columns.label is None:
        what = "path" if found_columns.path is None else "label"
        raise DataNotFoundError(
            f"{file}: expected a first line with the columns path and label, received {', '.join(table.header)}: say "
            f"which column it is ({what}_column)."
        )
    index = {role: table.header.index(name) for role, name in dataclasses.asdict(found_columns).items() if name}
    found = Found()
    for number, row in table.rows:
        values = {role: row[position].strip() if position < len(row) else "" for role, position in index.items()}
        if not values["path"] or not values["label"]:
            raise DataNotFoundError(f"{file}, line {number}: expected a path and a label, received {row}.")
        part = values.get("split", "")
        if part and part.lower() not in PART_NAMES:
            raise DataNotFoundError(
                f"{file}, line {number}: split must be train, validation or test, received {part!r}."
            )
        found.add(values["path"], values["label"], PART_NAMES.get(part.lower(), ""), values.get("group", ""))
    _mend_names(found.names, folder or file.parent)
    return found


def find_columns(file: Path, columns: Columns) -> Columns:
    """Which columns a list has; None for one that is not there."""
    return _find(file, _read_table(file), columns)


@dataclasses.dataclass
class _Table:
    """Lines of a list with their numbers, and the names of its columns, made up where it has none."""

    header: list[str]
    rows: list[tuple[int, list[str]]]


def _read_table(file: Path) -> _Table:
    text = _decoded(file)
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        return _json_lines(file, text)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataNotFoundError(f"{file} is empty: expected a path and a label in each line.")
    delimiter = max(DELIMITERS, key=lines[0].count)
    if delimiter not in lines[0]:
        rows = [(number, _path_and_label(line)) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        first = rows[0][1]
        return _Table(first, rows[1:]) if _is_header(first) else _Table(["path", "label"], rows)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, [*map(from_cell, row)]) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataNotFoundError(f"Cannot read {file} as a CSV file, line {reader.line_num}: {error}.") from error
    if not rows:
        raise DataNotFoundError(f"{file} has nothing but {delimiter!r}: expected a path and a label in each line.")
    first = [cell.strip() for cell in rows[0][1]]
    if _is_header(first):
        return _Table(first, rows[1:])
    made_up = ["path", "label", "split"][: len(first)] + [f"column {i + 1}" for i in range(3, len(first))]
    if len(first) > 2 and first[2].lower() not in PART_NAMES:
        made_up[2] = "column 3"
    return _Table(made_up, rows)


def _decoded(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataNotFoundError(f"Cannot read {file}: {error.strerror}.") from error
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataNotFoundError(f"Cannot read {file} as a CSV file in UTF-8: {error}. Save it as UTF-8.") from error
    if "\0" in text:
        raise DataNotFoundError(f"{file} is not a list of pictures: it holds null bytes.")
    return text


def _path_and_label(line: str) -> list[str]:
    """Of a line without delimiters: the label is the last word, and paths may have spaces."""
    return line.strip().rsplit(None, 1)


def _is_header(cells: Sequence[str]) -> bool:
    """Column names, not a picture: no cell ends like one, and none is a number unless another is a usual name."""
    if any(_looks_like_picture(cell) for cell in cells):
        return False
    usual = any(_key(cell) in USUAL["path"] for cell in cells)
    return usual or not any(cell.strip().lstrip("+-").isdecimal() for cell in cells)


def _looks_like_picture(cell: str) -> bool:
    return PurePosixPath(cell.strip().replace("\\", "/")).suffix.lower() in SUFFIXES


def _json_lines(file: Path, text: str) -> _Table:
    rows: list[tuple[int, dict[str, object]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataNotFoundError(f"{file}, line {number} is not JSON: {error}.") from error
            if not isinstance(content, dict):
                raise DataNotFoundError(f"{file}, line {number}: expected an object, received {line[:60]}.")
            rows.append((number, content))
    header = list(dict.fromkeys(name for _, row in rows for name in row))
    for number, row in rows:
        several = [name for name, value in row.items() if isinstance(value, (list, dict))]
        if several and _key(several[0]) in USUAL["label"]:
            raise UserError(f"{file}, line {number}: {several[0]} holds several labels, which cannot be used here.")
    return _Table(
        header, [(number, ["" if row.get(name) is None else str(row[name]) for name in header]) for number, row in rows]
    )


def _find(file: Path, table: _Table, columns: Columns) -> Columns:
    chosen: dict[str, str | None] = {}
    keys = {_key(name): name for name in reversed(table.header)}
    for role, given in dataclasses.asdict(columns).items():
        if given is not None and given not in table.header:
            raise UserError(f"{file} has no column {given!r} ({role}_column); it has {', '.join(table.header)}.")
        usual = next((keys[name] for name in USUAL[role] if name in keys), None)
        chosen[role] = given or usual
    return Columns(**chosen)


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "").replace("_", "")


def _one_hot(file: Path, table: _Table, path_column: str, folder: Path) -> Found:
    """A column of 0 and 1 for each class."""
    at = table.header.index(path_column)
    classes = [name for name in table.header if name != path_column]
    found = Found()
    for number, row in table.rows:
        try:
            marks = [float(cell) for position, cell in enumerate(row) if position != at]
        except ValueError:
            marks = []
        if len(marks) != len(classes) or not set(marks) <= {0.0, 1.0} or len(classes) < 2:
            raise DataNotFoundError(
                f"{file}: expected a first line with the columns path and label, received {', '.join(table.header)}: "
                f"say which column it is (label_column)."
            )
        if sum(marks) != 1:
            raise UserError(
                f"{file}, line {number}: {row[at]} has {sum(marks):g} labels; data with several labels per picture, or "
                f"none, cannot be used."
            )
        found.add(row[at].strip(), classes[marks.index(1.0)])
    _mend_names(found.names, folder)
    return found


def _mend_names(names: list[str], folder: Path) -> None:
    """Backslashes of another system become slashes, and an ending that is left out is found."""
    for position, name in enumerate(names):
        if "\\" in name and not (folder / name).exists():
            name = name.replace("\\", "/")
        if not _looks_like_picture(name):
            name = next((name + suffix for suffix in SUFFIXES if (folder / (name + suffix)).is_file()), name)
        names[position] = name.removeprefix("./")
