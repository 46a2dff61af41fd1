"""Command lines: argparse's, with a mistake as one line that says what may have been meant."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose help keeps the lines of its description, and which takes no abbreviations."""

    def __init__(self, prog: str | None = None, description: str | None = None, **options: Any):
        super().__init__(
            prog=prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **options,
        )

    def error(self, message: str) -> NoReturn:
        """End the process with exit code 2 and one line, without the options in between."""
        self.exit(2, f"{self.prog}: error: {message}{self._meant(message)} (see {self.prog} --help)\n")

    def _meant(self, message: str) -> str:
        """The option or choice that is most like what was given."""
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        near: list[str] = []
        if unknown:
            near = difflib.get_close_matches(unknown[1], list(self._option_string_actions), 1)
        elif choice:
            near = difflib.get_close_matches(choice[1], [each.strip("' ") for each in choice[2].split(",")], 1)
        return f"; did you mean {near[0]}?" if near else ""
