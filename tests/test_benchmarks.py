"""The benchmarks' own arithmetic, and that a variant really runs; how fast it is, is no test."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_gssl as gssl
from benchmarks import reading, time_to_accuracy
from benchmarks.__main__ import RATIOS, ratios
from benchmarks.growth import GeneratedImages, draw
from benchmarks.report import MARKERS, MEANINGS, markdown, write_into
from benchmarks.variants import FIRST_STEP, GROUPS, VARIANTS

ROOT = Path(__file__).parents[1]
RESULTS = {
    "hardware": "2 CPU cores (made up)",
    "bfloat16_instructions": ["amx_bf16"],
    "python": "3.11.7",
    "versions": {"keras_gssl": "0.1.0", "torch": "2.13.0"},
    "steps_per_round": 40,
    "ratios": {"evaluate_vs_torch": {"median": 2.0, "rounds": [1.5, 2.0, 2.5]}},
    "measured": {"pipeline": {"images_per_second_rounds": [10.0, 20.0, 30.0], "peak_memory_mib": 1234.5}},
    "seconds_to_first_step": {"train_float32": {"median": 9.0, "rounds": [8.0, 9.0, 10.0]}},
}


def test_ratios_are_taken_round_by_round_between_the_fastest():
    rounds = {
        "train_float32": [60.0, 90.0],
        "train_bfloat16": [100.0, 45.0],
        "torch_float32": [50.0, 50.0],
        "torch_float32_channels_last": [40.0, 60.0],
        "torch_bfloat16_channels_last": [80.0, 45.0],
        "torch_float32_compiled": [55.0, 50.0],
        "torch_bfloat16_compiled": [70.0, 20.0],
    }
    found = ratios(rounds)
    assert set(found) == {
        "train_float32_vs_torch_float32", "train_bfloat16_vs_torch_float32", "train_best_vs_torch_best",
    }  # fmt: skip
    assert found["train_best_vs_torch_best"]["rounds"] == [1.25, 1.5]
    assert found["train_best_vs_torch_best"]["median"] == pytest.approx(1.375)


def test_names_fit_together():
    assert set(RATIOS) == set(MEANINGS)
    names = {name for both in RATIOS.values() for each in both for name in np.atleast_1d(each)}
    assert names <= set(VARIANTS) and set(FIRST_STEP) <= set(VARIANTS)
    assert sorted(name for group in GROUPS for name in group) == sorted(VARIANTS)


def test_the_page_is_made_from_the_results(tmp_path):
    text = markdown(RESULTS)
    assert "| evaluation of 10,000 images, ours over PyTorch | 2.00 | 1.50 to 2.50 | at least 1.0 |" in text
    assert "| `pipeline` | 20 | 10 to 30 | 1,234 MiB |" in text and "amx_bf16" in text and "3 rounds" in text
    bare = RESULTS | {"measured": {"pipeline": {"images_per_second_rounds": [10.0]}}, "seconds_to_first_step": {}}
    assert "| `pipeline` | 10 | 10 to 10 | not measured |" in markdown(bare)
    assert "from process start" in text and "from process start" not in markdown(bare)
    (tmp_path / "cpu.json").write_text(json.dumps(RESULTS))
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n")
    write_into(page, tmp_path)
    assert page.read_text() == f"before\n{MARKERS[0]}\n{text}{MARKERS[1]}\nafter\n"


def test_a_variant_runs():
    command = [sys.executable, "-m", "benchmarks.worker", "pipeline"]
    done = subprocess.run(command, input="go\n", capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    ready, answer = map(json.loads, done.stdout.splitlines())
    assert ready["ready_after"] > 0 and answer["images_per_second"] > 0 and answer["peak_mib"] > 0


def test_generated_images_are_streamed(tmp_path):
    images = GeneratedImages(1_000_000)
    training_set = gssl.data.TrainingSet(images, np.arange(1_000_000) % 10, (0.5,) * 3, (0.5,) * 3, 64, [gssl.Flip()])
    batch, labels = next(iter(training_set.from_epoch(3)))
    assert batch.shape == (64, 32, 32, 3) and labels["flip"].shape == (64,)
    points = [{"value": 1, "images_per_second_rounds": [3.0], "peak_memory_mib": 900}]
    draw({"hardware": "made up", "axes": {"tasks": points}}, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_readers_give_every_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "COUNT", 5)
    monkeypatch.setattr(reading, "TIMES", 2)
    paths = reading.make_pictures(tmp_path)
    names = ("ours", "keras image_dataset_from_directory")
    monkeypatch.setattr(reading, "VARIANTS", {name: reading.VARIANTS[name] for name in names})
    speeds = reading.measure(paths, [32], rounds=2)
    assert {name: len(values) for name, values in speeds["32"].items()} == dict.fromkeys(names, 2)
    (batch,) = reading.ours(paths, 48)
    assert batch.shape == (10, 48, 48, 3)
    plain = reading.Pictures(paths, 48, turbo=False)
    assert np.abs(np.asarray(batch[0]).astype(int) - plain[0]).mean() < 4


def test_minutes_to_an_accuracy_are_those_of_the_run_or_of_a_measured_speed(tmp_path, capsys):
    for seed, last in enumerate((0.80, 0.82)):
        (tmp_path / str(seed)).mkdir()
        history = f"epoch,seconds,val_accuracy\n0,60,0.5\n1,60,\n2,60,{last}\n3,60,0.9\n"
        (tmp_path / str(seed) / "history.csv").write_text(history)
    speeds = {"measured": {"mine": {"images_per_second_median": time_to_accuracy.IMAGES / 120}}}
    (tmp_path / "speeds.json").write_text(json.dumps(speeds))
    both = f"{tmp_path}/0,{tmp_path}/1"
    time_to_accuracy.main([f"a={both}"])
    as_run = capsys.readouterr().out.splitlines()[-1]
    time_to_accuracy.main([f"b={both}@mine", f"--speeds={tmp_path}/speeds.json", f"--output={tmp_path}/curves.json"])
    as_measured = capsys.readouterr().out.splitlines()[-1]
    assert as_run == "| a | 2 | 90.00% after 4 min | 3 min (epoch 3) | 4 min (epoch 4) |"
    assert as_measured == "| b | 2 | 90.00% after 8 min | 6 min (epoch 3) | 8 min (epoch 4) |"
    written = json.loads((tmp_path / "curves.json").read_text())
    assert written["measured"] == speeds["measured"]
    assert written["runs"]["b"]["epoch_minutes_accuracy"][1][1] == pytest.approx([3, 6, 0.82])
    for runs, message in ((f"b={both}@theirs", "theirs, received one with mine"), (f"b={both}", "DIR,DIR@VARIANT")):
        with pytest.raises(SystemExit):
            time_to_accuracy.main([runs, f"--speeds={tmp_path}/speeds.json"])
        assert message in capsys.readouterr().err


def test_the_page_has_what_several_trainings_at_once_were_measured_to_bring():
    page, running = ((ROOT / "docs" / name).read_text() for name in ("speed.md", "running.md"))
    measured = json.loads((ROOT / "benchmarks/results/jobs.json").read_text())["images_per_second"]
    for entry in measured.values():
        rounds = entry["ratio"]["rounds"]
        assert f"| {entry['ratio']['median']:.2f} ({min(rounds):.2f} to {max(rounds):.2f}) |" in page
    for name in ("own_pictures_32", "own_pictures_64"):
        ratio = measured[name]["ratio"]
        assert f"{ratio['median']:.2f} times" in running and f"({min(ratio['rounds']):.2f} to" in running
