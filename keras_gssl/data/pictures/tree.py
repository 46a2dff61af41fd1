"""A folder of pictures: classes as sub-folders, perhaps below `train` and `test`, links followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from keras_gssl.data.pictures.decode import is_picture
from keras_gssl.data.pictures.found import PART_NAMES, Columns, Found
from keras_gssl.data.pictures.list_file import find_columns, read_list
from keras_gssl.errors import DataNotFoundError, UserError

#: What storage devices and archives keep beside the pictures, thumbnails of them included; in lower case.
SYSTEM_FOLDERS = {
    "@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "__macosx", "$recycle.bin",
    "system volume information", "lost+found",
}  # fmt: skip
METADATA = ("metadata.csv", "metadata.jsonl")


def read_tree(folder: Path, columns: Columns) -> Found:
    """The pictures below a folder.

    The first folder below it is the class; where all the folders directly in it are called `train`, `valid`, `test` or
    the like, they say what the pictures in them are for, and the second is the class. Where a file `metadata.csv` or
    `metadata.jsonl` with labels lies in the folder, or in each of those, it says the classes (Hugging Face's layout).

    Args:
        folder: The folder.
        columns: Names of the columns of these files.

    Raises:
        UserError: There are `train` and `test` folders without class folders, or beside others; or columns are named
            where there is no such file.
    """
    found, files = Found(), []
    tops = []
    for name, kind in _walk(folder, found.notes):
        if kind == "folder":
            if "/" not in name:
                tops.append(name)
        elif kind == "picture":
            files.append(PurePosixPath(name))
        else:
            found.not_pictures.append(name)
    described = _described(folder, tops, columns, found.notes)
    if described is not None:
        described.notes[:0] = found.notes
        return described
    if columns != Columns():
        raise UserError(f"Columns can be named for lists; {folder} is a folder without metadata.csv that has them.")
    tops_with_pictures = {file.parts[0] for file in files if len(file.parts) > 1}
    found.empty = [name for name in tops if name not in tops_with_pictures]
    split = _are_parts(tops_with_pictures)
    parts = [top for top in tops_with_pictures if top.lower() in PART_NAMES]
    if not split and any(len(file.parts) > 2 and file.parts[0] in parts for file in files):
        others = sorted(tops_with_pictures - set(parts))
        raise UserError(
            f"{folder} has {', '.join(sorted(parts))} with folders of pictures in it, which looks like a split, and "
            f"beside it {', '.join(others[:3])}: move what is no part of it elsewhere, or give a list of path, label "
            f"and split."
        )
    if split and not any(len(file.parts) > 2 for file in files):
        if len(tops_with_pictures) > 1:
            raise UserError(
                f"{folder} has the folders {', '.join(sorted(tops_with_pictures))}, which are a split, not classes: "
                f"expected a folder for each class within them, or a list of path, label and split."
            )
        split = False
    if split:
        shown = ", ".join(f"{top} ({PART_NAMES[top.lower()]})" for top in sorted(tops_with_pictures))
        found.notes.append(f"The folders above the classes are the split: {shown}.")
    for file in files:
        of_class, part = file.parts[0], ""
        if split and len(file.parts) > 2:
            of_class, part = file.parts[1], PART_NAMES[file.parts[0].lower()]
        elif split or len(file.parts) < 2:
            found.not_pictures.append(str(file))  # in no class
            continue
        found.add(str(file), of_class.strip(), part)
    if len(set(found.classes)) == 1:
        inner = sorted({file.parts[1] for file in files if len(file.parts) > 2})
        if len(inner) > 1:
            found.hint = f"are {', '.join(inner[:3])}, ... the classes? Then give {folder / found.classes[0]}"
    return found


def _are_parts(tops: set[str]) -> bool:
    return bool(tops) and all(top.lower() in PART_NAMES for top in tops)


def _walk(folder: Path, notes: list[str]) -> Iterator[tuple[str, str]]:
    """Everything below a folder as name and kind (`"folder"`, `"picture"`, `"other"`), in the order of the names."""

    def below(inner: str, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        real = os.path.realpath(folder / inner)
        if real in within:
            notes.append(f"The folder {inner} links to one that it lies in, and is passed over.")
            return
        with os.scandir(folder / inner) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            name = f"{inner}/{entry.name}" if inner else entry.name
            # Names with a dot in front are what editors and notebooks keep there.
            if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FOLDERS:
                continue
            if entry.is_dir():
                yield name, "folder"
                yield from below(name, (*within, real))
            elif entry.is_file() and is_picture(Path(entry.name)):
                yield name, "picture"
            else:  # a pipe or a device that is called like a picture would be waited for without end
                yield name, "other"

    yield from below("", ())


def _described(folder: Path, tops: list[str], columns: Columns, notes: list[str]) -> Found | None:
    """What metadata files say, if there are any with labels."""
    places = [folder, *(folder / top for top in tops if _are_parts(set(tops)))]
    found: Found | None = None
    for place in places:
        for name in METADATA:
            file = place / name
            if not file.is_file():
                continue
            try:
                known = find_columns(file, columns)
            except DataNotFoundError as error:  # somebody's notes
                notes.append(f"Passed over {file}, which is no list of pictures: {error}")
                continue
            if known.label is None or known.path is None:
                continue
            read = read_list(file, columns)
            inside = place.relative_to(folder)
            read.names = [str(PurePosixPath(inside.as_posix()) / each) for each in read.names]
            first = [PurePosixPath(each).parts[0].lower() for each in read.names]
            read.parts = [part or PART_NAMES.get(each, "") for part, each in zip(read.parts, first, strict=True)]
            found = found or Found()
            found.extend(read)
    return found
