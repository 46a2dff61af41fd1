"""Methods of the paper as names for settings."""

import dataclasses

import pytest

from keras_gssl import choices
from keras_gssl.data.augmentations.catalogue import AUGMENTATIONS
from keras_gssl.data.mixing import MIXINGS
from keras_gssl.errors import UserError
from keras_gssl.pretext.catalogue import GATES
from keras_gssl.pretext.steering import STEERING
from keras_gssl.pretext.tasks import TASKS
from keras_gssl.recipes import image_folder
from keras_gssl.recipes.cifar_lt import CifarSettings
from keras_gssl.recipes.command_line import describe_settings, parse
from keras_gssl.runs.methods import METHODS, apply_method
from keras_gssl.runs.settings import TrainingSettings

SMALL = TrainingSettings(backbone="resnet8", epochs=3)


def read(*argv):
    return parse(CifarSettings, "test", "", argv)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_made_by_its_settings(method):
    assert read("--method", method).method == method
    # The name is a function of the settings alone, so a results file cannot say another one.
    assert CifarSettings(**{**dataclasses.asdict(CifarSettings()), **METHODS[method]}).method == method


@pytest.mark.parametrize(
    ("argv", "method", "expected"),
    [
        (["--tasks"], "ldam-drw", {"tasks": ()}),
        (["--tasks", "--loss", "ce"], "ce", {}),
        (["--method", "moe", "--tasks", "lorot", "flip", "--gating", "learned"], "moe", {"gating": "learned"}),
        (["--method", "sum", "--tasks", "flip"], "sum", {"tasks": ("flip",)}),
        (["--method", "ssp", "--loss", "ce"], "ssp", {"pretraining": "rotation"}),
        (["--pretraining", "rotation"], "ssp+moe", {}),
        (["--method", "sla-sd", "--loss", "ce"], "sla-sd", {"tasks": ()}),
    ],
)
def test_names_of_settings(argv, method, expected):
    settings = read(*argv)
    assert settings.method == method
    assert {key: getattr(settings, key) for key in expected} == expected


@pytest.mark.parametrize(
    "argv",
    [
        ["--method", "ldam-drw", "--tasks", "flip"],
        ["--method", "moe", "--gating", "none"],
        ["--method", "sum", "--gating", "frozen"],
        ["--method", "augment-only", "--ssl-ratio", "0.1"],
        ["--method", "ce", "--loss", "ldam"],
    ],
)
def test_a_method_and_settings_that_contradict_it(argv):
    with pytest.raises(UserError, match=f"method {argv[1]} contradicts the other settings") as caught:
        read(*argv)
    assert "\n" not in str(caught.value)


def test_label_augmentation_takes_no_tasks():
    with pytest.raises(UserError, match="takes no pretext tasks"):
        read("--label-augmentation", "sla-sd")


def test_method_in_a_file_and_on_the_command_line(tmp_path):
    config = tmp_path / "my.toml"
    config.write_text('method = "ldam-drw"\nepochs = 7\n')
    assert read("--config", str(config)).method == "ldam-drw"
    settings = read("--config", str(config), "--method", "moe", "--tasks", "lorot", "channels")
    assert (settings.method, settings.epochs) == ("moe", 7)
    with pytest.raises(UserError, match="contradicts"):
        read("--config", str(config), "--tasks", "flip")
    config.write_text('method = "ce"\n')
    assert read("--config", str(config), "--method", "moe").method == "moe"
    config.write_text('method = "magic"\n')
    with pytest.raises(UserError, match="method must be one of ce, ldam-drw, .*received 'magic'"):
        read("--config", str(config))
    with pytest.raises(ValueError, match="received 'magic'"):
        apply_method(CifarSettings, {}, {}, "magic")


def test_what_makes_the_method_already_is_kept():
    base = {"gating": "rewarded", "epochs": 7}
    assert apply_method(CifarSettings, base, {}, "moe") == base
    assert apply_method(CifarSettings, base, {"tasks": ("flip", "lorot")}, "sum")["gating"] == "none"


def test_short_runs_scale_their_milestones():
    assert dataclasses.replace(SMALL, epochs=20).milestones() == ((16, 18), 16)
    assert dataclasses.replace(SMALL, epochs=300).milestones() == ((160, 180), 160)


def test_tasks_act_in_the_papers_order():
    tasks = TrainingSettings(tasks=("channels", "lorot", "flip"), flip_axis="columns").make_tasks()
    assert [task.name for task in tasks] == ["flip", "lorot", "channels"] and tasks[0].axis == "columns"


def test_every_part_can_be_chosen_by_its_name():
    assert tuple(TASKS) == choices.TASKS and tuple(GATES) == choices.GATES and tuple(STEERING) == choices.STEERING
    assert tuple(AUGMENTATIONS) == choices.AUGMENTATIONS and tuple(MIXINGS) == choices.MIXINGS


def test_what_own_pictures_are_trained_with():
    """The recipe and the method that were best on photographs, unless something else is chosen."""

    def own(*argv):
        return parse(image_folder.ImageFolderSettings, "image_folder", "", ["photos", *argv])

    usual = own()
    assert (usual.recipe, usual.method, usual.epochs, usual.mixing) == ("fast", "balanced", 25, "cutmix")
    assert usual.augmentations == ("randaugment",) and own("--augmentations").augmentations == ()
    for argv in (["--epochs", "40"], ["--mixing", "none"]):
        assert (own(*argv).method, own(*argv).augmentations) == ("balanced", ("randaugment",))
    for argv in (
        ["--loss", "ce"],
        ["--loss", "ldam"],
        ["--label-augmentation", "sla-sd"],
        ["--pretraining", "rotation"],
    ):
        assert own(*argv).augmentations == ()
    assert own("--method", "balanced") == dataclasses.replace(usual, augmentations=())
    assert own("--recipe", "fast") == usual
    for argv in (["--method", "moe"], ["--tasks", "flip", "lorot"], ["--share", "0.3"], ["--gating", "look-ahead"]):
        assert (own(*argv).recipe, own(*argv).method, own(*argv).gating) == ("fast", "moe", "look-ahead")
        assert own(*argv).augmentations == ()
    assert (own("--loss", "ce").method, own("--label-augmentation", "sla-sd").method) == ("ce", "sla-sd")
    paper = own("--recipe", "paper")
    assert (paper.method, paper.gating, paper.epochs) == ("moe", "frozen", 100)
    told = "recipe fast, method balanced; batch_size=8, augmentations=randaugment"
    assert describe_settings(own("--batch-size", "8")) == told
    assert describe_settings(own("--method", "moe")) == "recipe fast, method moe; all else as they have it"
    assert describe_settings(own("--gating", "frozen")) == "recipe fast, method moe; gating=frozen"


def test_a_recipe_has_a_method_of_its_own_unless_another_is_asked_for():
    fast = read("--recipe", "fast")
    assert (fast.method, fast.augmentations, fast.epochs) == ("balanced", ("randaugment",), 50)
    for argv in (["--method", "moe"], ["--draw", "one"]):
        gated = read("--recipe", "fast", *argv)
        assert (gated.method, gated.gating, gated.augmentations) == ("moe", "look-ahead", ())
    best = read("--recipe", "best")
    assert (best.method, best.augmentations) == ("moe", ("autoaugment", "cutout"))
    assert read().method == "moe" and read().augmentations == ()


@pytest.mark.parametrize(
    "argv", [["--recipe", "fast", "--drop-epochs", "5"], ["--recipe", "fast", "--reweight-epoch", "3"]]
)
def test_what_has_no_effect_is_said(argv):
    with pytest.raises(UserError, match=r"has no effect with (schedule linear|loss balanced).*: add --(schedule|loss)"):
        read(*argv)
    assert read(*argv, "--schedule", "steps", "--loss", "ldam").recipe == "fast"


@pytest.mark.parametrize(("epochs", "stages"), [(50, (2, 3)), (6, (2, 3)), (4, (2, 3)), (3, (0, 0)), (1, (0, 0))])
def test_a_recipe_shorter_than_its_stages(epochs, stages):
    settings = read("--recipe", "fast", "--epochs", str(epochs))
    assert (settings.warmup_epochs, settings.plain_epochs) == stages
    assert read("--recipe", "best", "--epochs", str(epochs)).epochs == epochs
    with pytest.raises(UserError, match="plain_epochs"):
        read("--recipe", "fast", "--epochs", str(epochs), "--plain-epochs", str(epochs))
