"""Comparing methods on one's own data: the statistics against SciPy, the plan, and a run of the command."""

import contextlib
import dataclasses
import itertools
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from keras_gssl.errors import UserError
from keras_gssl.recipes import image_folder
from keras_gssl.recipes.command_line import run_as_command
from keras_gssl.recipes.compare.command import main
from keras_gssl.recipes.compare.page import summary
from keras_gssl.recipes.compare.plan import METHODS, make_plan
from keras_gssl.recipes.paired import paired_difference, pairs_needed, verdict
from keras_gssl.recipes.tables import runner
from keras_gssl.runs.result import RunResult, Scores
from keras_gssl.runs.titles import PLAIN
from tests.pictures import make_folder
from tests.recipes.small_tables import ended_at_once


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "photos", counts=(12, 9, 6, 4))


def test_the_interval_is_that_of_the_paired_t_test():
    random = np.random.default_rng(0)
    one, other = random.normal(0.6, 0.02, 8), random.normal(0.55, 0.02, 8)
    found = paired_difference(one, other)
    wanted = stats.ttest_rel(one, other).confidence_interval(0.95)
    np.testing.assert_allclose([found.low, found.high], wanted)
    wide = paired_difference(one, other, comparisons=5)
    wanted = stats.ttest_rel(one, other).confidence_interval(0.99)
    np.testing.assert_allclose([wide.low, wide.high], wanted)
    folds = paired_difference(one, other, overlap=1 / 4)
    reach = stats.t.ppf(0.975, 7) * np.std(one - other, ddof=1) * np.sqrt(1 / 8 + 1 / 4)
    np.testing.assert_allclose([folds.low, folds.high], [folds.mean - reach, folds.mean + reach])


def test_methods_that_are_equal_are_rarely_told_apart():
    random = np.random.default_rng(0)
    told = 0
    for _ in range(400):
        figures = {name: random.normal(0.6, 0.02, 4) for name in "abcde"}
        pairs = [paired_difference(figures["a"], figures[name], comparisons=4) for name in "bcde"]
        told += any(pair.certain for pair in pairs)
    assert told <= 35  # 5 % are 20


def test_so_many_pairs_show_a_difference_in_four_of_five():
    random = np.random.default_rng(0)
    differences = random.normal(0.02, 0.03, 400)
    needed = pairs_needed(paired_difference(differences, np.zeros(400)))
    shown = sum(paired_difference(random.normal(0.02, 0.03, needed), np.zeros(needed)).certain for _ in range(1000))
    assert 15 <= needed <= 27 and 700 <= shown <= 900
    assert pairs_needed(paired_difference([0.5, 0.5], [0.5, 0.5])) is None
    assert pairs_needed(paired_difference([0.5], [0.4])) is None


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"a": [0.5, 0.51, 0.5], "b": [0.4, 0.41, 0.4]}, "a is best: 50.3 % accuracy, 10.0 points above b"),
        (
            {"a": [0.5, 0.4, 0.6], "b": [0.49, 0.45, 0.5]},
            r"a has the highest accuracy \(50.0 %\); at 3 seeds its lead over b is noise; .* more seeds would",
        ),
        ({"a": [0.5], "b": [0.4]}, "one run of each says nothing of noise: run at least three seeds"),
        ({"a": [0.5, 0.6]}, "a alone was run"),
        (
            {"a": [0.5, 0.51, 0.52], "b": [0.49, 0.52, 0.5], "c": [0.1, 0.11, 0.12]},
            r"a has .*, certainly above c; at 3 seeds its lead over b is noise;",
        ),
        ({"a": [0.5, 0.5, 0.5], "b": [0.5, 0.5, 0.5]}, "no sensible number of seeds would tell it from b"),
    ],
)
def test_the_verdict_is_one_sentence(figures, sentence):
    import re

    found = verdict(figures, "accuracy", "seeds")
    assert re.search(sentence, found), found
    assert "\n" not in found and found.endswith(".")


def test_the_plan_pairs_methods_by_seed_and_fold(photos):
    plan = make_plan(str(photos), list(METHODS), (0, 1), 0, {"epochs": 3})
    loss = "logit-adjusted cross-entropy"
    more = (f"{loss} (augmentations randaugment)", f"{loss} + augmentation alone", f"{loss} + gated tasks")
    assert plan.methods == (*PLAIN.values(), *more)
    assert plan.in_order[-1].title == f"{loss} + gated tasks, seed 1" and len(plan.in_order) == 14
    paper = make_plan(str(photos), ["ce", "moe"], (0,), 0, {"recipe": "paper"})
    assert paper.methods == ("cross-entropy", "LDAM-DRW + gated tasks")
    assert [run.settings.method for run in plan.in_order[:7]] == [each.partition(":")[0] for each in METHODS]
    assert {run.settings.seed for run in plan.in_order[:7]} == {0}
    assert len({run.name for run in plan.in_order}) == 14
    folds = make_plan(str(photos), ["ce", "moe"], (0,), 5, {})
    assert [run.settings.fold for run in folds.in_order] == [(n, 5) for n in range(1, 6) for _ in "ab"]
    assert folds.overlap == 0.25 and folds.unit == "folds"
    assert make_plan("cifar10_lt", ["ce", "moe"], (0,), 0, {}).in_order[0].recipe == "cifar10_lt"


def test_a_method_may_have_settings_of_its_own(photos):
    methods = ["balanced", "balanced:margin=0.2", "moe:epochs=7:backbone=resnet14"]
    plan = make_plan(str(photos), methods, (0, 1), 0, {"epochs": 3})
    loss = "logit-adjusted cross-entropy"
    assert plan.methods == (loss, f"{loss} (margin 0.2)", f"{loss} + gated tasks (epochs 7, backbone resnet14)")
    plain, margin, other = (runs[0].settings for runs in plan.runs.values())
    assert margin == dataclasses.replace(plain, margin=0.2)
    assert (other.epochs, other.backbone, other.seed) == (7, "resnet14", 0) and plain.epochs == 3
    assert len({run.name for run in plan.in_order}) == 6


def test_settings_that_are_lists_are_words(photos):
    methods = ["balanced:augmentations=cutout, randaugment", "ldam-drw:drop_epochs=2,3", "ce:augmentations=[]"]
    plan = make_plan(str(photos), methods, (0,), 0, {"recipe": "paper", "epochs": 5, "augmentations": "cutout"})
    words, numbers, none = (runs[0].settings for runs in plan.runs.values())
    assert plan.methods[0] == "logit-adjusted cross-entropy (augmentations cutout, randaugment)"
    assert plan.methods[2] == "cross-entropy (augmentations none)"
    assert words.augmentations == ("cutout", "randaugment") and none.augmentations == ()
    assert numbers.drop_epochs == (2, 3) and numbers.augmentations == ("cutout",)
    with pytest.raises(UserError, match="augmentations must be one of .* received 'cut'"):
        make_plan(str(photos), ["ce", "balanced:augmentations=cut"], (0,), 0, {})
    with pytest.raises(UserError, match="each of drop_epochs must be int, received 'x'"):
        make_plan(str(photos), ["ce", "balanced:drop_epochs=2,x"], (0,), 0, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (".", ["ce", "balanced:margin"], (0,), 0, {}),
            "own settings are METHOD:KEY=VALUE, received 'balanced:margin'",
        ),
        ((".", ["ce", "balanced:margin=x"], (0,), 0, {}), "method balanced:margin=x: margin must be float"),
        ((".", ["ce", "balanced:marign=1"], (0,), 0, {}), "unknown setting 'marign'"),
        ((".", ["ce", "ce:seed=3"], (0,), 0, {}), "method ce:seed=3: seed must be the same for all methods"),
        ((".", ["ce", "ce:test=0.4"], (0,), 0, {}), "test must be the same for all"),
        ((".", ["balanced", "balanced:margin=0"], (0,), 0, {}), "is the same training as logit-adjusted cross-entropy"),
        ((".", ["ce", "lorot"], (0,), 0, {}), "There is no method lorot; methods are ce,"),
        (("nowhere", ["ce", "moe"], (0,), 0, {}), "There is no folder, list or recipe nowhere"),
        (("cifar10_lt", ["ce", "moe"], (0,), 5, {}), "cifar10_lt has a test set of its own"),
        ((".", ["ce"], (0,), 0, {}), "needs two methods or more, each named once; received ce"),
        ((".", ["ce", "ce"], (0,), 0, {}), "received ce ce"),
        ((".", ["ce", "moe"], (0, 1, 0), 0, {}), "would count twice; received 0 1 0"),
        ((".", ["ce", "moe"], (0,), 1, {}), "folds must be at least 2, received 1"),
        ((".", ["ce", "moe"], (0,), 0, {"epoch": 3}), "unknown setting 'epoch'"),
    ],
)
def test_mistakes_in_a_plan_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        make_plan(*arguments)


def test_a_comparison_from_folder_to_page_goes_on_where_it_was(photos, tmp_path, monkeypatch, capsys):
    def run_here(command, log):  # without another five seconds of TensorFlow for every run
        assert command[1:3] == ["-m", "keras_gssl.recipes.image_folder"]
        with contextlib.redirect_stdout(log):
            return run_as_command(image_folder.main, command[3:])

    monkeypatch.setattr(runner, "started", ended_at_once(run_here))
    usual = [str(photos), "--quick", "--folds", "2", "--set", "image_size=32", "backbone=resnet8", "-o", str(tmp_path)]
    command = [*usual, "--methods", "ce", "balanced:augmentations=randaugment"]
    with pytest.raises(UserError, match="holds no finished runs of this comparison"):
        main([*command, "--report"])
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 methods, 4 runs" in printed and printed.count(" left\n") == 3, "after all but the last"
    assert "mean and (standard deviation) over folds" in printed
    told = json.loads((tmp_path / "comparison.json").read_text())
    names = {PLAIN["ce"], f"{PLAIN['balanced']} (augmentations randaugment)"}
    assert told["verdict"] in printed and set(told["methods"]) == names
    page = (tmp_path / "comparison.html").read_text()
    for part in ("How good each method is", "Every run", "Against cross-entropy", "Every class", "disc", "2 folds"):
        assert part in page
    tested = [
        json.loads(file.read_text())["last_epoch"]["tested"] for file in tmp_path.glob("runs/*_ce_*/metrics.json")
    ]
    assert np.sum(tested, axis=0).tolist() == [6, 12, 4, 9], "every picture once: bars, disc, ring, square"
    assert main([*usual, "--report"]) == 0, "of the methods that there are"
    assert json.loads((tmp_path / "comparison.json").read_text()) == told and told["text"] in capsys.readouterr().out
    stamps = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/metrics.json")}
    assert len(stamps) == 4 and main(command) == 0
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in stamps.items()), "nothing is run twice"
    again = capsys.readouterr().out
    assert f"4 runs in {tmp_path / 'runs'}, 4 of them there already.\n" in again and " left" not in again
    for file in sorted(stamps, key=stamps.__getitem__)[2:]:
        shutil.rmtree(file.parent)
    clock = itertools.count(0, 300)
    monkeypatch.setattr("keras_gssl.recipes.compare.command.time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert main(command) == 0
    again = capsys.readouterr().out
    assert "2 of them there already. The time" in again
    assert again.count(" left\n") == 1 and "about 5 min left\n" in again, "those that were there took no time"


def test_names_of_runs_fit_into_file_systems(photos):
    settings = {
        "corrections": "some/folder/" * 30 + "corrections.csv",
        "backbone_weights": "runs/other/classifier.keras",
    }
    names = {run.name for run in make_plan(str(photos), ["ce", "moe"], (0, 1), 3, settings).in_order}
    assert len(names) == 12 and max(map(len, names)) <= 200


def test_rare_classes_cannot_decide_where_there_are_none():
    scores = Scores(0, 0.5, 0.5, 0.5, None, None, 0.1, [0.5])
    runs = [dataclasses.replace(RESULT, last_epoch=scores)]
    with pytest.raises(UserError, match="There is no accuracy on rare classes here: no class has fewer than 20"):
        summary(make_plan("cifar10_lt", ["ce", "moe"], (0,), 0, {}), {"ce": runs, "moe": runs}, "few")


RESULT = RunResult(
    last_epoch=None, best_epoch=None, method="ce", settings={}, full_length=True, milestones={}, data={},
    wall_time_seconds=60.0, versions={}, hardware="none",
)  # fmt: skip
