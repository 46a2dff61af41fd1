"""Import TensorFlow without the notices that it prints on stderr before its log level can take effect.

Only the known ones are held back; anything else that is printed during the import still appears.
"""

from __future__ import annotations

import os
import sys
import tempfile

HELD_BACK = (
    "All log messages before absl::InitializeLog()",
    "oneDNN custom operations are on",
    "Could not find cuda drivers on your machine",
    "This TensorFlow binary is optimized to use available CPU instructions",
    "To enable the following instructions",
    "TF-TRT Warning: Could not find TensorRT",
)


def import_tensorflow() -> None:
    """Import TensorFlow, passing on what it prints except the notices above."""
    if "tensorflow" in sys.modules:
        return
    # The notices come from C++ and go to the file descriptor, past sys.stderr.
    try:
        stderr = os.dup(2)
    except OSError:  # no stderr, so nothing to keep clean
        stderr = None
    if stderr is None:
        import tensorflow

        return
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 2)
        try:
            import tensorflow  # noqa: F401
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            for line in printed.read().decode(errors="replace").splitlines(keepends=True):
                if not any(notice in line for notice in HELD_BACK):
                    sys.stderr.write(line)
