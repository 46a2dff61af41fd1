"""How picture files are read, as far as a user can say."""

from __future__ import annotations

import dataclasses

from keras_gssl.data.pictures.decode import FITS, DepthRange
from keras_gssl.errors import UserError

CACHES = ("auto", "memory", "disk")
DUPLICATES = ("name", "drop", "ignore")


@dataclasses.dataclass(frozen=True)
class Reading:
    """How picture files become arrays.

    Attributes:
        image_size: Side of the square that every picture is brought to, in pixels; even.
        fit: `"crop"` or `"pad"`: how pictures that are not square are made so; see `read_picture`.
        depth_range: Black and white of greyscale pictures of more than 8 bits; None: looked up in the pictures.
        skip_broken: Leave unreadable files out instead of raising an error.
        duplicates: Pictures for validation or testing that are nearly the same as one for something else: `"name"`
            notes them, `"drop"` leaves them out, `"ignore"` does not look for them.
        cache: `"memory"` decodes all pictures once, `"disk"` decodes each when a batch needs it, `"auto"` chooses
            memory if that takes less than half of what is free.
        horizontal_flip: Whether training pictures are mirrored at random.
    """

    image_size: int = 64
    fit: str = "crop"
    depth_range: DepthRange | None = None
    skip_broken: bool = False
    duplicates: str = "name"
    cache: str = "auto"
    horizontal_flip: bool = True

    def __post_init__(self) -> None:
        if self.image_size < 8 or self.image_size % 2:
            raise UserError(f"image_size must be even and at least 8, received {self.image_size}.")
        for name, choices in (("fit", FITS), ("duplicates", DUPLICATES), ("cache", CACHES)):
            if getattr(self, name) not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}; received {getattr(self, name)!r}.")
        if self.depth_range is not None and not self.depth_range[0] < self.depth_range[1]:
            low, high = self.depth_range
            raise UserError(f"depth_range must rise from black to white, received {low:g} {high:g}.")
