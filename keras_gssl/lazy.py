"""Public names that are imported when they are used (PEP 562), as the `.pyi` beside each `__init__.py` lists them.

They are for users. Modules of the package import from the module that defines a name: what `when_used` calls may import
any of them, which must then be complete.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazy_loader

#: Called when a public name is used for the first time.
_when_used: list[Callable[[], None]] = []


def public_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package assigns to `__getattr__`, `__dir__` and `__all__`.

    Args:
        package: Its `__name__`.
        file: Its `__file__`; the stub of the same name beside it says which name comes from which module.
    """
    find, names, all_names = lazy_loader.attach_stub(package, file)

    def find_and_tell(name: str) -> Any:
        found = find(name)
        for tell in _when_used:
            tell()
        return found

    return find_and_tell, names, all_names


def when_used(tell: Callable[[], None]) -> None:
    """Call `tell` whenever a public name is used for the first time."""
    _when_used.append(tell)
