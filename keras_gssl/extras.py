"""Packages that only some of the functions need, and that are installed with an extra of this one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from keras_gssl.errors import UserError


@contextmanager
def extra(name: str, what_needs: str) -> Iterator[None]:
    """Around imports: a package that is not installed is one line that says which extra brings it.

    Args:
        name: Of the extra.
        what_needs: The beginning of the line, such as "Explanations need".
    """
    try:
        yield
    except ImportError as error:
        raise UserError(f"{what_needs} {error.name}: pip install 'keras_gssl[{name}]'.") from error
