"""Which precision is chosen where."""

import re
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from keras_gssl.runs import precision


@pytest.fixture
def machine(monkeypatch):
    def make(processor="", capability=None):
        gpus = [] if capability is None else ["a GPU"]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
        details = {"compute_capability": capability}
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
        vendor, *flags = processor.split() or [""]
        monkeypatch.setattr(precision, "processor", lambda: (vendor, set(flags)))

    return make


@pytest.mark.parametrize(
    ("processor", "capability", "expected"),
    [
        ("", None, "float32"),
        ("AuthenticAMD avx2 fma", None, "float32"),
        ("AuthenticAMD avx512f avx512_bf16", None, "mixed_bfloat16"),
        ("GenuineIntel avx512f avx512_bf16", None, "float32"),
        ("GenuineIntel avx512f avx512_bf16 amx_bf16", None, "mixed_bfloat16"),
        ("", (7, 5), "float32"),
        ("GenuineIntel amx_bf16", (7, 0), "float32"),
        ("", (9, 0), "mixed_bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_it_is_faster(machine, processor, capability, expected):
    machine(processor, capability)
    assert precision.resolve_precision("auto") == expected
    assert precision.resolve_precision("float32") == "float32"


def test_this_machine():
    vendor, flags = precision.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = dict(re.findall(r"^(\w+)\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE))
        assert vendor == lines.get("vendor_id", "")
        assert flags == set(lines.get("flags", lines.get("Features", "")).split())
    with pytest.raises(ValueError, match="received 'half'"):
        precision.resolve_precision("half")


def test_the_scope_leaves_the_policy_as_it_was():
    with pytest.raises(RuntimeError), precision.precision_scope("mixed_bfloat16"):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError
    assert keras.config.dtype_policy().name == "float32"


def test_a_network_within_another_is_looked_into(tmp_path):
    """Keras gives a network that it loads the policy of the process, and its layers their own."""
    image = keras.Input((8, 8, 3))
    with precision.precision_scope("mixed_bfloat16"):
        inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)])
        keras.Model(image, keras.layers.Flatten()(inner(image))).save(tmp_path / "net.keras")
    assert precision.precision_of(keras.models.load_model(tmp_path / "net.keras")) == "mixed_bfloat16"
