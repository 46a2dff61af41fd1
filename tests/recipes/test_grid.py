"""Tables as files: the grid of runs, and what is wrong with others."""

import pytest

from keras_gssl.errors import UserError
from keras_gssl.recipes.cifar_lt import CifarSettings
from keras_gssl.recipes.command_line import parse
from keras_gssl.recipes.tables.grid import read_table, select
from tests.recipes.small_tables import ROOT, SMALL


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


def test_what_is_said_for_all_rows_need_not_concern_each(small, tmp_path):
    """Plain cross-entropy has no re-weighting, and the recipe fast no steps; the commands of the runs are taken."""
    common = {"recipe": "fast", "epochs": 20, "reweight_epoch": 100, "drop_epochs": [5, 8]}
    for run in read_table(small, common).runs:
        again = parse(CifarSettings, "cifar10_lt", "", run.argv(tmp_path))
        assert again.to_json() == run.settings.to_json()
    plain = parse(CifarSettings, "cifar10_lt", "", ["--method", "ce", "--reweight-epoch", "100"])
    assert (plain.loss, plain.reweight_epoch) == ("ce", 100)
