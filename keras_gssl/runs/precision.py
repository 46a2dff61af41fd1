"""Which precision a machine trains fastest in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from keras_gssl.backend import keras, tf

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
BFLOAT16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")
FIRST_GPU_WITH_BFLOAT16 = (8, 0)


def resolve_precision(precision: str) -> str:
    """The Keras dtype policy for a setting: `"auto"` is mixed_bfloat16 where the hardware computes in it, else float32.

    That is on GPUs of compute capability 8.0 and above, and on CPUs with AMX or AVX-512 bfloat16 instructions.
    Elsewhere bfloat16 is emulated and slower. bfloat16 has the range of float32, so no loss scaling is needed; weights,
    heads, losses and gates stay float32.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; received {precision!r}")
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "mixed_bfloat16" if capability >= FIRST_GPU_WITH_BFLOAT16 else "float32"
    return "mixed_bfloat16" if cpu_flags() & set(BFLOAT16_INSTRUCTIONS) else "float32"


@contextlib.contextmanager
def precision_scope(precision: str) -> Iterator[None]:
    """Layers made within compute in this precision; afterwards the dtype policy is again what it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolve_precision(precision))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def cpu_flags() -> set[str]:
    """Instruction sets that the operating system lists for the processor; empty where it lists none."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.exists():
        return set()
    lines = (line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features")))
    return set(next(lines, "").partition(":")[2].split())
