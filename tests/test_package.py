"""The package as a whole: public names, what importing it does, and what it leaves alone."""

import subprocess
import sys
from pathlib import Path

import pytest

import keras_gssl as gssl

ROOT = Path(__file__).parents[1]


def test_public_names_exist_and_are_documented():
    for name in gssl.__all__:
        assert getattr(gssl, name).__doc__, name


def test_importing_prints_nothing():
    code = "import keras_gssl as gssl; gssl.GatedSSLModel, gssl.data.digits_lt, gssl.report.write_report"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_another_backend_is_refused_in_one_line():
    code = "import os; os.environ['KERAS_BACKEND'] = 'numpy'; import keras_gssl; keras_gssl.SGD"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "KERAS_BACKEND=tensorflow" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "imports",
    [
        "import keras; import keras_gssl",
        "import keras_gssl; import keras",
        "from keras_gssl.data import long_tail_counts, from_arrays; import keras",
        "from keras_gssl.export.deployable import load_deployable; import keras",
    ],
)
def test_saved_models_load_in_whatever_order_keras_is_imported(imports):
    model = ROOT / "tests/fixtures/version_0_1/models/moe.keras"
    registering = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted((ROOT / "keras_gssl").rglob("*.py"))
        if "register_keras_serializable(" in file.read_text()
    ]
    assert "keras_gssl.schedules" in registering
    code = (
        f"{imports}; assert keras.saving.load_model({str(model)!r}).num_classes == 3; "
        f"import sys; left_out = set({registering}) - set(sys.modules); assert not left_out, left_out"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_random_state_and_matplotlib_of_the_caller_are_left_alone(tmp_path):
    import random

    import keras
    import matplotlib
    import numpy as np

    from keras_gssl.export.deployable import Deployable
    from keras_gssl.report.charts import curves, svg
    from keras_gssl.report.explanations import heat_maps
    from keras_gssl.runs.building import build_model
    from keras_gssl.runs.settings import TrainingSettings

    data = gssl.data.digits_lt()
    keras.utils.set_random_seed(7)
    before = random.getstate(), np.random.get_state()[1].tolist(), matplotlib.rcParams._get_backend_or_none()
    model = build_model(TrainingSettings(backbone="resnet8"), data)
    heat_maps(Deployable.from_model(model, data), data.test_images[0], ["saliency"])
    svg("a chart", curves({"a": (np.arange(3), np.arange(3))}, "b"))
    after = random.getstate(), np.random.get_state()[1].tolist(), matplotlib.rcParams._get_backend_or_none()
    assert before == after
    assert all((one == two).all() for one, two in zip(model.get_weights(), build_again(data), strict=True))


def build_again(data):
    from keras_gssl.runs.building import build_model
    from keras_gssl.runs.settings import TrainingSettings

    return build_model(TrainingSettings(backbone="resnet8"), data).get_weights()
