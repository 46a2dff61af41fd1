"""Cores and memory of a machine are shared out among processes."""

import os
import subprocess
import sys

import pytest

from keras_gssl.data.pictures import files
from keras_gssl.errors import UserError
from keras_gssl.sharing import RUNS_AT_ONCE, held_to, runs_at_once, usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux holds a process to cores")
def test_what_is_begun_inherits_the_cores():
    code = "import os; print(len(os.sched_getaffinity(0)))"
    with held_to(usable_cores()[:1]):
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


def test_runs_at_once_share_the_memory(monkeypatch):
    monkeypatch.setattr(files, "free_memory", lambda: 600)
    monkeypatch.delenv(RUNS_AT_ONCE, raising=False)
    assert files.fits_in_memory(99) and not files.fits_in_memory(100)
    with held_to([], 2) as environment:
        monkeypatch.setenv(RUNS_AT_ONCE, environment[RUNS_AT_ONCE])
    assert files.fits_in_memory(49) and not files.fits_in_memory(50)
    with held_to([], 3) as environment:
        assert environment[RUNS_AT_ONCE] == "6", "three of each of two"
    monkeypatch.setenv(RUNS_AT_ONCE, "many")
    with pytest.raises(UserError, match="must be a whole number from 1 or absent, received 'many'"):
        runs_at_once()
