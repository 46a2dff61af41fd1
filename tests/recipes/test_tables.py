"""Tables: the grid, the ledger, running what is missing in turn and on Ray, the report."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from keras_gssl.errors import UserError
from keras_gssl.recipes.tables import command as tables
from keras_gssl.recipes.tables import runner
from keras_gssl.recipes.tables.grid import read_table, select
from keras_gssl.recipes.tables.ledger import Ledger
from keras_gssl.recipes.tables.report import markdown, picture
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.result import RunResult, Scores
from tests.pictures import make_folder

ROOT = Path(__file__).parents[2]
SMALL = """
title = "CIFAR"
seeds = [0, 1]
[settings]
epochs = 2
[[columns]]
name = "CIFAR 0.05"
recipe = "cifar10_lt"
imbalance_ratio = 0.05
[[columns]]
name = "CIFAR 0.02"
recipe = "cifar10_lt"
imbalance_ratio = 0.02
[[rows]]
name = "Plain"
method = "ce"
paper = [80.0, nan]
[[rows]]
name = "Gated"
method = "moe"
tasks = ["lorot", "flip"]
"""

#: A table whose runs train on 42 pictures.
OF_PICTURES = """
title = "Shapes"
seeds = [0]
[settings]
epochs = 2
image_size = 32
[[columns]]
name = "Shapes"
recipe = "image_folder"
source = "{}"
[[rows]]
name = "Plain"
method = "ce"
[[rows]]
name = "Gated"
method = "moe"
tasks = ["lorot", "flip"]
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def of_pictures(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(OF_PICTURES.format(make_folder(tmp_path / "photos")))
    return path


def result(run, last, best, full_length=True):
    """What a run could have left."""

    def scores(epoch, accuracy):
        return Scores(epoch, accuracy, accuracy, accuracy, None, None, 0.1, [accuracy])

    return RunResult(
        last_epoch=scores(run.settings.epochs - 1, last),
        best_epoch=scores(0, best),
        method=run.settings.method,
        settings=run.settings.to_json(),
        full_length=full_length,
        milestones={"learning_rate_drops": [], "reweighting": 0},
        data={},
        wall_time_seconds=1.0,
        versions={},
        precision="float32",
        hardware="none",
    )


@pytest.mark.parametrize(("name", "rows", "columns"), [("table1", 12, 6), ("table2", 8, 2)])
def test_the_papers_tables(name, rows, columns):
    table = read_table(ROOT / "recipes" / f"{name}.toml")
    assert (len(table.rows), len(table.columns), len(table.runs)) == (rows, columns, 3 * rows * columns)
    assert len({run.name for run in table.runs}) == len(table.runs)
    assert all(run.settings.epochs == type(run.settings).full_epochs for run in table.runs)
    # The first seed of everything comes before the second of anything.
    assert [run.settings.seed for run in table.runs] == sorted(run.settings.seed for run in table.runs)


def test_grid(small):
    table = read_table(small, {"epochs": 7}, [5])
    cell = table.cells["Gated", "CIFAR 0.05"]
    (run,) = cell.runs
    assert run.name == "cifar10_lt_0.05_moe_lorot_flip_frozen_7_epochs_seed5"
    assert run.settings.imbalance_ratio == 0.05 and cell.paper is None
    assert table.cells["Plain", "CIFAR 0.05"].paper == 80.0 and table.cells["Plain", "CIFAR 0.02"].paper is None
    other = read_table(small, {"ssl_ratio": 1, "flip_axis": "columns"}).runs[2]
    assert other.name == "cifar10_lt_0.05_moe_lorot_flip_frozen_ssl_ratio-1.0_flip_axis-columns_2_epochs_seed0"
    assert len({run.name for run in read_table(small).runs}) == 8
    part = select(table, ["Plain"], ["CIFAR 0.02"])
    assert part.rows == ("Plain",) and len(part.runs) == 1
    with pytest.raises(UserError, match="no row 'Magic'; it has 'Plain', 'Gated'"):
        select(table, ["Magic"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cifar10_lt", "cook", "recipe must be one of .*received 'cook'"),
        ('method = "ce"', 'method = "magic"', "row 'Plain', column .*: method must be one of"),
        ("epochs = 2", "epochs = 0", "epochs must be at least 1"),
        ("epochs = 2", "epoch = 2", "unknown setting 'epoch'"),
        ("[80.0, nan]", "[80.0]", "row 'Plain' has 1 figures of the paper for 2 columns"),
        ('name = "Gated"', 'name = "Plain"', "every row needs a name of its own"),
        ("title", "caption", "received 'caption' as well"),
        ("[settings]", 'against = "Magic"\n[settings]', "against must be the name of a row, received 'Magic'"),
        ("seeds = [0, 1]", "seeds = [0,", "not valid TOML"),
        ('method = "moe"', 'method = "sum"\ngating = "frozen"', "contradicts the other settings"),
    ],
)
def test_mistakes_in_a_table_are_named(small, old, new, message):
    small.write_text(SMALL.replace(old, new, 1))
    with pytest.raises(UserError, match=message) as caught:
        read_table(small)
    assert "\n" not in str(caught.value)


def test_ledger_finds_the_same_run_and_no_other(small, tmp_path):
    table = read_table(small)
    first, second = table.cells["Plain", "CIFAR 0.05"].runs
    other = table.cells["Plain", "CIFAR 0.02"].runs[0]
    ledger = Ledger(tmp_path / "results")
    assert ledger.find(first) is None
    path = ledger.add(first, result(first, 0.7, 0.75))
    assert path.name == "cifar10_lt_0.05_ce_2_epochs_seed0.json"
    assert ledger.add(other, result(other, 0.6, 0.6)).name == "cifar10_lt_0.02_ce_2_epochs_seed0.json"
    assert ledger.add(other, result(other, 0.6, 0.6)).name.endswith("seed0_2.json"), "none is written over"
    for each in (ledger, Ledger(tmp_path / "results")):
        assert each.find(first) and each.find(other) and each.find(second) is None
        assert [r.seed for r in each.of(second)] == [0]
    (tmp_path / "results" / "stray.json").write_text("{}")
    with pytest.raises(UserError, match=r"stray.json is not a result: it has no 'last_epoch'"):
        Ledger(tmp_path / "results")


def test_report_keeps_paper_full_and_short_runs_apart(small, tmp_path):
    table = read_table(small, {"epochs": 200})
    ledger = Ledger(tmp_path / "results")
    for run, last in zip(table.cells["Plain", "CIFAR 0.05"].runs, (0.70, 0.72), strict=True):
        ledger.add(run, result(run, last, 0.75))
    (run, _) = read_table(small).cells["Gated", "CIFAR 0.02"].runs
    ledger.add(run, result(run, 0.5, 0.5, full_length=False))
    text = markdown(table, ledger)
    assert "| Plain | 80.00 | 75.00 (0.00) | 71.00 (1.41) | 2 |" in text
    assert "| Gated |  |  |  |  |" in text, "empty cells are empty; the short run is not in the table"
    assert "*Short runs of 2 epochs*" in text and "| CIFAR 0.02 | Gated | 50.00 | 50.00 | 1 |" in text
    short = markdown(table, ledger, only_with_results=True)
    assert "*CIFAR 0.02*" not in short and "No full-length run of ours yet: CIFAR 0.02." in short
    assert picture(table, ledger, tmp_path / "table.png").stat().st_size > 10_000
    assert math.isclose(ledger.of(run)[0].content.last_epoch.accuracy, 0.5)


def test_a_table_without_figures_of_the_paper_is_as_long_as_it_says(small, tmp_path):
    text = "\n".join(line for line in small.read_text().splitlines() if not line.startswith("paper"))
    (tmp_path / "ours.toml").write_text(text)
    table, ledger = read_table(tmp_path / "ours.toml"), Ledger(tmp_path / "results")
    (run, _) = table.cells["Gated", "CIFAR 0.02"].runs
    ledger.add(run, result(run, 0.5, 0.6, full_length=False))
    told = markdown(table, ledger)
    assert "| Gated | 60.00 | 50.00 | 1 |" in told and "paper" not in told and "Short runs" not in told
    longer = markdown(read_table(tmp_path / "ours.toml", {"epochs": 3}), ledger)
    assert "| Gated |  |  |  |" in longer and "*Short runs of 2 epochs*, not comparable with those above" in longer


def test_rows_are_held_against_one_of_them_over_the_same_seeds(small, tmp_path):
    small.write_text(small.read_text().replace("[0, 1]", '[0, 1, 2]\nagainst = "Plain"'))
    table, ledger = read_table(small, {"epochs": 200}), Ledger(tmp_path / "results")
    ours = {"Plain": (0.70, 0.72, 0.71), "Gated": (0.72, 0.75, None)}  # one seed of the gated runs is to come
    for row, accuracies in ours.items():
        for run, accuracy in zip(table.cells[row, "CIFAR 0.05"].runs, accuracies, strict=True):
            if accuracy is not None:
                ledger.add(run, result(run, accuracy, 0.75))
    told = markdown(table, ledger)
    # Differences of 2 and 3 points: a standard error of 0.5, times 12.706 of one degree of freedom.
    assert "| method | all classes | rare classes | seeds |" in told
    assert re.search(r"\| Gated \| \+2.50 \(-3.85 to \+8.85\) \| [^|]* \| 2 \|", told)
    assert told.count("above *Plain*") == 1, "there is nothing to compare in the other column"
    assert "above" not in markdown(select(table, ["Gated"]), ledger)


def test_the_part_of_a_page_is_replaced(tmp_path):
    path, marks = tmp_path / "results.md", tables.marks_of("table1")
    path.write_text(f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n")
    tables.write_between_marks(path, "new\n", marks)
    assert path.read_text() == f"before\n{marks[0]}\nnew\n{marks[1]}\nafter\n"
    path.write_text("nothing")
    with pytest.raises(UserError, match="must hold the lines"):
        tables.write_between_marks(path, "new\n", marks)


@pytest.mark.parametrize("how", [-signal.SIGKILL, 143])
def test_runs_in_turn_resume_the_killed_and_pass_over_the_failed(small, tmp_path, monkeypatch, capsys, how):
    """One run fails, one was killed and finished before: both are treated as a user expects."""
    monkeypatch.chdir(tmp_path)
    results = tmp_path / "results"
    assert _in_turn(small, results, monkeypatch, failing="ce", killed_once="moe", how=how) == 1
    printed = capsys.readouterr()
    assert "2 runs, 0 already in" in printed.out and "1 done, 1 failed." in printed.out
    assert "failed: cifar10_lt_0.05_ce_2_epochs_seed0: exit code 2: error: no luck" in printed.err
    assert len(list(results.glob("*.json"))) == 1
    assert _in_turn(small, results, monkeypatch) == 0
    assert "2 runs, 1 already in" in capsys.readouterr().out
    assert len(list(results.glob("*.json"))) == 2
    assert tables.main([str(small), "--results", str(results), "--report", "--columns", "CIFAR 0.05"]) == 0
    assert (tmp_path / "runs/small/small.png").exists()


def _in_turn(small, results, monkeypatch, failing="", killed_once="", how=-signal.SIGKILL):
    """The tables command with the training itself replaced by a stand-in process."""
    killed = []

    def process(command, log):
        folder = RunFolder(command[command.index("--run-dir") + 1])
        folder.path.mkdir(parents=True, exist_ok=True)
        table = select(read_table(small, {}, [0]), (), ["CIFAR 0.05"])
        (run,) = [each for each in table.runs if each.name == folder.path.name]
        if run.settings.method == failing:
            log.write("error: no luck\n")
            return 2
        if run.settings.method == killed_once and not killed:
            assert "--resume" not in command
            killed.append(run)
            folder.settings.write_text("{}")
            return how
        assert ("--resume" in command) == bool(killed)
        folder.metrics.write_text(json.dumps(result(run, 0.5, 0.5).to_json()))
        return 0

    monkeypatch.setattr(runner, "_ended", process)
    return tables.main([str(small), "--results", str(results), "--seeds", "0", "--columns", "CIFAR 0.05"])


def test_a_real_run_in_turn(of_pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [str(of_pictures), "--quick", "--rows", "Plain", "--seeds", "3", "--set", "epochs=1"]
    (run,) = select(read_table(of_pictures, {"quick": True, "epochs": 1}, [3]), ["Plain"]).runs
    assert tables.main(command) == 0
    assert f"done: {run.name}" in capsys.readouterr().out
    assert "test images; method ce" in (tmp_path / f"runs/small-quick/{run.name}.log").read_text()
    assert not (tmp_path / "recipes").exists(), "a trial is no result"


SLOW_TO_STOP = """
import pathlib, signal, sys, time
def stop(number, frame):
    time.sleep(1)
    pathlib.Path("saved").write_text(str(number))
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop), signal.signal(signal.SIGINT, stop)
pathlib.Path("started").touch()
time.sleep(60)
"""
STOPPED = """
import sys
from keras_gssl.errors import as_command
from keras_gssl.recipes.tables.runner import _ended
code = "import sys; exec(sys.argv[1])"
sys.exit(as_command(lambda: _ended([sys.executable, "-c", code, sys.argv[1]], sys.stdout)))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_a_table_lets_its_run_save_its_state(tmp_path, number):
    """A signal to the command; a terminal sends SIGINT to its whole group."""
    command = [sys.executable, "-c", STOPPED, SLOW_TO_STOP]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    ) as table:
        while table.poll() is None and not (tmp_path / "started").exists():
            time.sleep(0.05)
        os.killpg(table.pid, number) if number == signal.SIGINT else table.send_signal(number)
        assert table.wait(20) == 128 + number
    assert (tmp_path / "saved").read_text() == str(int(number))


def test_ray_cluster_of_two_workers_one_killed(of_pictures, tmp_path, monkeypatch, capsys):
    """A worker is killed in the middle of its run: every run ends, none is run twice."""
    ray = pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    victim = []

    def kill_a_worker():
        folder = tmp_path / "runs" / "small-quick"
        while not victim:
            for state in folder.glob("*/checkpoint-0001.keras"):
                for process in Path("/proc").glob("[0-9]*"):
                    try:
                        title = (process / "cmdline").read_bytes()
                    except OSError:
                        continue
                    if title.startswith(b"ray::_run_in_worker") and not victim:
                        os.kill(int(process.name), signal.SIGKILL)
                        victim.append(state.parent.name)
            time.sleep(0.01)

    thread = threading.Thread(target=kill_a_worker, daemon=True)
    thread.start()
    try:
        command = [str(of_pictures), "--quick", "--ray", "auto"]
        assert tables.main(command) == 0
    finally:
        ray.shutdown()
    thread.join(5)
    assert victim, "a worker was killed"
    printed = capsys.readouterr().out
    assert "2 done, 0 failed." in printed
    for run in read_table(of_pictures, {"quick": True}).runs:
        folder = RunFolder(tmp_path / "runs/small-quick" / run.name)
        assert printed.count(f"done: {run.name}") == 1
        assert [row["epoch"] for row in folder.read_history()] == ["0", "1"]
        assert folder.metrics.exists()


def test_the_repositorys_own_results_are_read():
    """Some are of earlier versions, which wrote less."""
    results = Ledger(ROOT / "recipes" / "results")
    table = read_table(ROOT / "recipes" / "table1.toml", {"epochs": 20})
    (found,) = [
        r for r in results.of(table.cells["LDAM-DRW", "CIFAR-10-LT 0.01"].runs[0]) if (r.seed, r.epochs) == (0, 20)
    ]
    assert 0.6 < found.content.last_epoch.accuracy < 0.7 and found.content.precision == "float32"
    assert "| CIFAR-10-LT 0.01 | LDAM-DRW |" in markdown(table, results)
