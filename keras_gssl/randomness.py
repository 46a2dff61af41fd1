"""Drawing at random without disturbing what the caller draws."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's and NumPy's global generators start at `seed` within, and go on afterwards as if nothing was drawn.

    Keras takes the seed of every initialiser from Python's, so initial weights made within are a function of `seed`.
    """
    python, numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
