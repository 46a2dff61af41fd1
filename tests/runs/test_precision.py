"""Which precision is chosen where."""

import re
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from keras_gssl.runs import precision


@pytest.fixture
def machine(monkeypatch):
    def make(flags="", capability=None):
        gpus = [] if capability is None else ["a GPU"]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
        details = {"compute_capability": capability}
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
        monkeypatch.setattr(precision, "cpu_flags", lambda: set(flags.split()))

    return make


@pytest.mark.parametrize(
    ("flags", "capability", "expected"),
    [
        ("avx2 fma", None, "float32"),
        ("avx512f avx512_bf16", None, "mixed_bfloat16"),
        ("amx_bf16", None, "mixed_bfloat16"),
        ("", (7, 5), "float32"),
        ("amx_bf16", (7, 0), "float32"),
        ("", (9, 0), "mixed_bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_hardware_computes_in_it(machine, flags, capability, expected):
    machine(flags, capability)
    assert precision.resolve_precision("auto") == expected
    assert precision.resolve_precision("float32") == "float32"


def test_this_machine():
    if not tf.config.list_physical_devices("GPU"):
        cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        has_bfloat16 = re.search(r"^flags.*\b(amx_bf16|avx512_bf16)\b", cpuinfo, re.MULTILINE)
        assert precision.resolve_precision("auto") == ("mixed_bfloat16" if has_bfloat16 else "float32")
    with pytest.raises(ValueError, match="received 'half'"):
        precision.resolve_precision("half")


def test_the_scope_leaves_the_policy_as_it_was():
    with pytest.raises(RuntimeError), precision.precision_scope("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"
