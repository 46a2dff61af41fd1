"""Training on several devices equals training on one with the same global batch, up to rounding."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.devices import strategy_for
from keras_gssl.errors import UserError

ROOT = Path(__file__).parents[1]


def run_with_two_devices(folder, *methods):
    command = [sys.executable, "-m", "tests.two_devices", str(folder), *methods]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]


def test_two_devices_equal_one(tmp_path):
    methods = ["frozen", "rewarded", "sla-sd", "arrays", "kernels"]
    run_with_two_devices(tmp_path, *methods)
    for method in methods:
        one, two = (np.load(tmp_path / f"{method}-{devices}.npz") for devices in (1, 2))
        assert set(one) == set(two)
        for name in one:
            what = f"{method}, {name}"
            if name.startswith("moved"):
                assert np.linalg.norm(one[name]) > 0.05, "a share of 5 %, of a kernel as long as 2"
                np.testing.assert_allclose(one[name], two[name], atol=1e-3 * np.abs(one[name]).max(), err_msg=what)
            elif name.startswith("history_") and "accuracy" not in name:
                np.testing.assert_allclose(one[name], two[name], rtol=2e-3, atol=1e-4, err_msg=what)
            elif name.startswith("history_"):
                np.testing.assert_allclose(one[name], two[name], atol=0.02, err_msg=what)
            else:
                scale = np.abs(one[name]).max() + 1e-6
                np.testing.assert_allclose(one[name] / scale, two[name] / scale, atol=0.03, err_msg=what)


def test_a_whole_run_on_two_devices(tmp_path):
    run_with_two_devices(tmp_path, "ssp")
    assert (tmp_path / "run" / "metrics.json").exists()


def test_batches_that_cannot_be_shared_out_are_named(small_data, make_model, monkeypatch):
    model = make_model()
    monkeypatch.setattr(type(model), "_replicas", 2)
    with pytest.raises(ValueError, match="Batches of 25 images, 25 in the last, cannot be shared out among 2 devices"):
        model.fit(small_data.train(25))
    monkeypatch.setattr(type(model), "_replicas", 4)
    with pytest.raises(ValueError, match="Batches of 48 images, 2 in the last"):
        model.fit(small_data.train(48))


def test_more_devices_than_there_are():
    assert gssl.devices.num_replicas() == 1
    with pytest.raises(UserError, match="9 devices were asked for, but there are"):
        strategy_for(9)
