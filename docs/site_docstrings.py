"""Examples and sources of docstrings as the site shows them: a section is a heading, what is typed is code."""

import re

import griffe

SECTIONS = re.compile(r"^(Example|Reference|Source):$", re.MULTILINE)
TYPED = re.compile(r"^>>>.*(?:\n.+)*", re.MULTILINE)  # up to an empty line, with what it prints


class Docstrings(griffe.Extension):
    """Called for every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring is not None:
            text = SECTIONS.sub(r"**\1**\n", obj.docstring.value)
            obj.docstring.value = TYPED.sub(lambda match: f"```pycon\n{match[0]}\n```", text)
