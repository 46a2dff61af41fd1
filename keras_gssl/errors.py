"""Mistakes that the person at the command line can mend; shown as one line, with exit code 2."""


class UserError(Exception):
    """Something the user gave cannot be used. The message says what it was, what was expected and how to mend it."""
