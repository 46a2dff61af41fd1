"""Keep TensorFlow's notices off stderr where no log level can: when it is imported, and when it converts models.

Only the known ones are held back; anything else that is printed meanwhile still appears.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

HELD_BACK = (
    "All log messages before absl::InitializeLog()",
    "oneDNN custom operations are on",
    "Could not find cuda drivers on your machine",
    "failed call to cuInit",
    "This TensorFlow binary is optimized to use available CPU instructions",
    "To enable the following instructions",
    "TF-TRT Warning: Could not find TensorRT",
    # From the LiteRT converter.
    "Ignored output_format.",
    "Ignored drop_control_dependency.",
    "fully_quantize: ",
    "Skipping runtime version metadata in the model.",
    "Created TensorFlow Lite XNNPACK delegate for CPU.",
)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Hold back the notices above; everything else that is printed meanwhile appears at the end."""
    # The notices come from C++ and go to the file descriptor, past sys.stderr.
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr, so nothing to keep clean
        yield
        return
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            for line in printed.read().decode(errors="replace").splitlines(keepends=True):
                if not any(notice in line for notice in HELD_BACK):
                    sys.stderr.write(line)
