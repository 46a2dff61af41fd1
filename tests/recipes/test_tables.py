"""Tables: running what is missing, in turn and on Ray."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from keras_gssl.errors import UserError
from keras_gssl.recipes.tables import command as tables
from keras_gssl.recipes.tables import runner
from keras_gssl.recipes.tables.grid import read_table, select
from keras_gssl.runs.folder import RunFolder
from tests.recipes.small_tables import ROOT, ended_at_once, result


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

    monkeypatch.setattr(runner, "started", ended_at_once(process))
    return tables.main([str(small), "--results", str(results), "--seeds", "0", "--columns", "CIFAR 0.05"])


def test_a_real_run_in_turn(of_pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [str(of_pictures), "--quick", "--rows", "Plain", "--seeds", "3", "--set", "epochs=1"]
    (run,) = select(read_table(of_pictures, {"quick": True, "epochs": 1}, [3]), ["Plain"]).runs
    assert tables.main(command) == 0
    assert f"done: {run.name}" in capsys.readouterr().out
    assert "test images; recipe fast, method ce" in (tmp_path / f"runs/small-quick/{run.name}.log").read_text()
    assert not (tmp_path / "recipes").exists(), "a trial is no result"


SLOW_TO_STOP = """
import os, pathlib, signal, sys, time
def stop(number, frame):
    time.sleep(1)
    pathlib.Path(f"saved-{os.getpid()}").write_text(str(number))
    sys.exit(128 + number)
signal.signal(signal.SIGTERM, stop), signal.signal(signal.SIGINT, stop)
pathlib.Path(f"started-{os.getpid()}").touch()
time.sleep(60)
"""


STOPPED = """
import sys
from pathlib import Path
from types import SimpleNamespace
from keras_gssl.errors import as_command
from keras_gssl.recipes.tables import runner
start = runner.started
runner.started = lambda command, log, *share: start([sys.executable, "-c", sys.argv[1]], log, *share)
runner.arguments = lambda run, folder: []
runner.finished = lambda run, folder: None
runs = [SimpleNamespace(name=name, title=name, recipe="none") for name in ("one", "two", "never begun")]
sys.exit(as_command(lambda: list(runner.run_here(runs, Path(), jobs=2))))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_stops_a_table_lets_its_runs_save_their_states(tmp_path, number):
    """A signal to the command; a terminal sends SIGINT to its whole group."""
    command = [sys.executable, "-c", STOPPED, SLOW_TO_STOP]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    ) as table:
        while table.poll() is None and len(list(tmp_path.glob("started-*"))) < 2:
            time.sleep(0.05)
        os.killpg(table.pid, number) if number == signal.SIGINT else table.send_signal(number)
        assert table.wait(20) == 128 + number
    assert [file.read_text() for file in tmp_path.glob("saved-*")] == [str(int(number))] * 2
    assert len(list(tmp_path.glob("started-*"))) == 2


def test_jobs_go_on_at_once_each_on_cores_of_its_own(small, tmp_path, monkeypatch):
    """Four runs, two at once: the second takes longest, so the third and fourth end before it."""
    runs = read_table(small, {}).runs[:4]
    steps = dict(zip((run.name for run in runs), (1, 5, 1, 2), strict=True))
    going, most, of = {}, [], []

    def started(command, log, cores, jobs):
        folder = RunFolder(command[command.index("--run-dir") + 1])
        name, left = folder.path.name, steps[folder.path.name]
        going[name] = tuple(cores)
        most.append(dict(going))
        of.append(jobs)

        def poll():
            nonlocal left
            left -= 1
            if left:
                return None
            folder.path.mkdir(parents=True)
            (run,) = [each for each in runs if each.name == name]
            folder.metrics.write_text(json.dumps(result(run, 0.5, 0.5).to_json()))
            going.pop(name)
            return 0

        return SimpleNamespace(returncode=0, poll=poll)

    monkeypatch.setattr(runner, "started", started)
    monkeypatch.setattr(runner, "usable_cores", lambda: [3, 5, 6])
    monkeypatch.setattr(runner, "POLL_SECONDS", 0)
    ended = [outcome.run for outcome in runner.run_here(runs, tmp_path, jobs=2)]
    assert [outcome.run for outcome in runner.run_here(runs, tmp_path, jobs=3)] == runs, "none is begun again"
    assert ended == [runs[0], runs[2], runs[3], runs[1]]
    assert [sorted(cores.values()) for cores in most] == [[(3,)], [(3,), (5, 6)], [(3,), (5, 6)], [(3,), (5, 6)]]
    shutil.rmtree(tmp_path / runs[1].name)
    assert [outcome.run for outcome in runner.run_here(runs, tmp_path, jobs=2)] == runs
    assert most[4:] == [{runs[1].name: ()}] and of == [2, 2, 2, 2, 1], "the only one left has all that there is"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux holds a process to cores")
def test_a_process_keeps_to_its_cores(tmp_path, monkeypatch):
    before, held = os.sched_getaffinity(0), []
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: held.append((process, set(cores))))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "KERAS_GSSL_RUNS_AT_ONCE")
    code = f"import os; print(*(os.environ[name] for name in {names}))"
    with (tmp_path / "log").open("w") as log:
        assert runner.started([sys.executable, "-c", code], log, [5, 7], 3).wait() == 0
        assert held == [(0, {5, 7}), (0, before)], "and the one that begins it goes on on all of its own"
        assert runner.started([sys.executable, "-c", "pass"], log, [], 1).wait() == 0 and len(held) == 2
    assert (tmp_path / "log").read_text() == "2 2 3\n"


def test_jobs_that_cannot_be_meant_are_one_line(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options, message in ((["--jobs", "0"], "at least 1, received 0"), (["--jobs", "2", "--ray", "auto"], "--ray")):
        with pytest.raises(UserError, match=message):
            tables.main([str(small), *options])
    assert not list(tmp_path.glob("runs")), "before anything is made"


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
