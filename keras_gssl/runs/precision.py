"""Which precision a machine trains fastest in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from keras_gssl.backend import keras, tf
from keras_gssl.choices import PRECISIONS

AMD = "AuthenticAMD"
FIRST_GPU_WITH_BFLOAT16 = (8, 0)


def resolve_precision(precision: str) -> str:
    """The Keras dtype policy for a setting: `"auto"` is mixed_bfloat16 where that is faster, else float32.

    That is on GPUs of compute capability 8.0 and above, on CPUs with AMX, and on AMD's with AVX-512 bfloat16
    instructions. Intel's train 0.7 times as fast with these as in float32 (`docs/speed.md`); elsewhere bfloat16 is
    emulated. It has the range of float32, so no loss scaling is needed; weights, heads, losses and gates stay float32.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; received {precision!r}")
    if precision != "auto":
        return precision
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "mixed_bfloat16" if capability >= FIRST_GPU_WITH_BFLOAT16 else "float32"
    vendor, flags = processor()
    return "mixed_bfloat16" if "amx_bf16" in flags or (vendor == AMD and "avx512_bf16" in flags) else "float32"


@contextlib.contextmanager
def precision_scope(precision: str) -> Iterator[None]:
    """Layers made within compute in this precision; afterwards the dtype policy is again what it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(resolve_precision(precision))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def precision_of(network: keras.Model) -> str:
    """The dtype policy that a network was made with: a run goes on as it began, whatever this machine would choose."""
    # Of single layers: a network within it has, once loaded, the policy of the process that loaded it.
    layers = (layer for layer in network._flatten_layers(include_self=False) if layer.weights and not layer._layers)
    return next((layer.dtype_policy.name for layer in layers), network.dtype_policy.name)


def processor() -> tuple[str, set[str]]:
    """Vendor and instruction sets that the operating system names; empty where it names none."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []

    def first(*names: str) -> str:
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")

    return first("vendor_id"), set(first("flags", "Features").split())
