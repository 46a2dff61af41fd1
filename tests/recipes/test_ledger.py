"""Tables: the results that are kept, and the report of them."""

import math
import re

import pytest

from keras_gssl.errors import UserError
from keras_gssl.recipes.tables import command as tables
from keras_gssl.recipes.tables.grid import read_table, select
from keras_gssl.recipes.tables.ledger import Ledger
from keras_gssl.recipes.tables.report import markdown, picture
from tests.recipes.small_tables import ROOT, result


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
    shorter = '[[rows]]\nname = "Gated for two epochs"\nmethod = "moe"\ntasks = ["lorot", "flip"]\nepochs = 2\n'
    (tmp_path / "ours.toml").write_text(text.replace("epochs = 2", "epochs = 3") + f"\n{shorter}")
    told = markdown(read_table(tmp_path / "ours.toml"), ledger)
    assert "| Gated for two epochs | 60.00 | 50.00 | 1 |" in told and "| Gated |  |  |  |" in told
    assert "Short runs" not in told, "it stands in the row that asks for it"


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


def test_the_repositorys_own_results_are_read():
    """Some are of earlier versions, which wrote less."""
    results = Ledger(ROOT / "recipes" / "results")
    table = read_table(ROOT / "recipes" / "table1.toml", {"epochs": 20})
    (found,) = [
        r for r in results.of(table.cells["LDAM-DRW", "CIFAR-10-LT 0.01"].runs[0]) if (r.seed, r.epochs) == (0, 20)
    ]
    assert 0.6 < found.content.last_epoch.accuracy < 0.7 and found.content.precision == "float32"
    assert "| CIFAR-10-LT 0.01 | LDAM-DRW |" in markdown(table, results)
