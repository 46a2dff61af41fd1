"""What a folder or a list says of pictures, before they are numbered and split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_gssl.errors import UserError, counted

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
#: What people call the parts.
PART_NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}


LEFT_OUT = "-"


@dataclasses.dataclass(frozen=True)
class Columns:
    """Names of the columns of a list; None: one of the usual names.

    Attributes:
        path: Where the picture is.
        label: Its class.
        split: What it is for.
        group: Pictures with the same value stay on one side of every split, such as those of one patient or camera.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None


@dataclasses.dataclass
class Found:
    """Pictures as a folder or a list names them; the lists go together.

    Attributes:
        names, classes: Of each picture.
        parts: What each is for, or "" where that is not said.
        groups: Of each, or "".
        notes, not_pictures, empty: See `Listing`.
        hint: What may be wrong where no classes are found.
    """

    names: list[str] = dataclasses.field(default_factory=list)
    classes: list[str] = dataclasses.field(default_factory=list)
    parts: list[str] = dataclasses.field(default_factory=list)
    groups: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    not_pictures: list[str] = dataclasses.field(default_factory=list)
    empty: list[str] = dataclasses.field(default_factory=list)
    hint: str = ""

    def add(self, name: str, of_class: str, part: str = "", group: str = "") -> None:
        self.names.append(name)
        self.classes.append(of_class)
        self.parts.append(part)
        self.groups.append(group)

    def extend(self, other: Found) -> None:
        for field in dataclasses.fields(self):
            if field.name != "hint":
                getattr(self, field.name).extend(getattr(other, field.name))

    def correct(self, file: Path, corrections: Found) -> None:
        """Give pictures the classes that corrections name, and leave out those that they name `-`.

        Raises:
            UserError: A picture that is corrected is not here.
        """
        corrections.settle_doubles()
        where = {name: position for position, name in enumerate(self.names)}
        known, left_out = set(self.classes), set()
        for name, of_class in zip(corrections.names, corrections.classes, strict=True):
            if name not in where:
                raise UserError(f"{file} corrects {name}, which is not among the {len(where)} pictures.")
            if of_class != LEFT_OUT and of_class not in known:
                raise UserError(
                    f"{file} gives {name} the class {of_class!r}, which no picture has: expected one of the "
                    f"classes, or {LEFT_OUT} to leave it out."
                )
            if of_class == LEFT_OUT:
                left_out.add(where[name])
            else:
                self.classes[where[name]] = of_class
        self.notes.append(
            f"{counted(len(corrections.names), 'label is', 'labels are')} corrected by {file}, "
            f"{counted(len(left_out), 'picture')} left out."
        )
        self._remove(left_out)

    def _remove(self, positions: set[int]) -> None:
        for values in (self.names, self.classes, self.parts, self.groups):
            values[:] = [value for position, value in enumerate(values) if position not in positions]

    def groups_of(self, positions: Sequence[int] | np.ndarray) -> list[str]:
        """A picture without a group is one by itself."""
        return [self.groups[each] or f"\0{self.names[each]}" for each in positions]

    def settle_doubles(self) -> None:
        """A picture that is named twice counts once.

        Raises:
            UserError: It is named with two classes, or for two parts.
        """
        first: dict[str, int] = {}
        twice = []
        for position, name in enumerate(self.names):
            seen = first.setdefault(name, position)
            if seen == position:
                continue
            twice.append(position)
            for what, values in (("class", self.classes), ("split", self.parts)):
                if values[seen] != values[position]:
                    raise UserError(
                        f"{name} is named with the {what} {values[seen]!r} and with {values[position]!r}: a picture "
                        + (
                            "has one class here; data with several labels per picture cannot be used."
                            if what == "class"
                            else "can be for one of them only."
                        )
                    )
        self._remove(set(twice))
        if twice:
            pictures = counted(len(twice), "picture is", "pictures are")
            self.notes.append(f"{pictures} named more than once and count once.")
