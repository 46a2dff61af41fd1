"""What exported files have in common: the name of their input, where their metadata is, how they are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

INPUT_NAME = "image"
INPUT_TYPES = ("uint8", "float32")
SAVED_MODEL_METADATA = Path("assets.extra") / "metadata.json"  # TensorFlow's place for what travels along
LITERT_METADATA = "metadata.json"  # in a zip archive at the end of the file
Runner = Callable[[np.ndarray], np.ndarray]


def output_name(probabilities: bool) -> str:
    return "probabilities" if probabilities else "logits"
