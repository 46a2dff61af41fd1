"""What becomes of a table on a Ray cluster whose head is killed. Run by `make torture`."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_gssl.recipes.tables.grid import read_table
from keras_gssl.runs.folder import RunFolder
from tests.pictures import make_folder

TABLE = """
title = "Shapes"
seeds = [0]
[settings]
epochs = 40
image_size = 32
backbone = "resnet8"
batch_size = 16
[[columns]]
name = "Shapes"
recipe = "image_folder"
source = "{}"
[[rows]]
name = "Plain"
method = "ce"
[[rows]]
name = "Balanced"
method = "balanced"
"""


@pytest.mark.torture
def test_a_cluster_whose_head_is_killed(tmp_path):
    """The command ends with exit code 1 within minutes; the same call goes on and runs nothing twice."""
    pytest.importorskip("ray")
    ray = str(Path(sys.executable).with_name("ray"))
    (tmp_path / "shapes.toml").write_text(TABLE.format(make_folder(tmp_path / "photos")))
    environment = {**os.environ, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    options = {"cwd": tmp_path, "env": environment, "text": True}
    command = [sys.executable, "-m", "keras_gssl.recipes.tables", "shapes.toml", "--ray", "auto"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    try:
        start = [ray, "start", "--head", "--num-cpus=2", "--port=6399", "--include-dashboard=false"]
        subprocess.run(start, check=True, capture_output=True, **options)
        with subprocess.Popen(command, **pipes, **options) as table:
            while table.poll() is None and not list(tmp_path.glob("runs/shapes/*/checkpoint-0002.keras")):
                time.sleep(0.1)
            assert table.poll() is None, table.communicate()
            head = subprocess.run(["pgrep", "-f", "gcs_server.*6399"], capture_output=True, text=True, check=True)
            os.kill(int(head.stdout.split()[0]), signal.SIGKILL)
            _, said = table.communicate(timeout=300)
        assert table.returncode == 1 and "Traceback" not in said, (table.returncode, said[-3000:])
        assert "GCS" in said, "Ray itself ends the process, saying that its head is gone"
    finally:
        subprocess.run([ray, "stop", "--force"], check=False, capture_output=True, **options)
    again = subprocess.run(command, check=False, timeout=900, **pipes, **options)
    assert again.returncode == 0, again.stderr[-3000:]
    for run in read_table(tmp_path / "shapes.toml").runs:
        rows = RunFolder(tmp_path / "runs/shapes" / run.name).read_history()
        assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(40)]
    assert len(list((tmp_path / "recipes/results").glob("*.json"))) == 2
