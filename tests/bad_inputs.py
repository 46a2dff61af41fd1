"""What people give by mistake: an expression each, in rooms. Each must end in one line that says how to mend it.

`python -m tests.bad_inputs` tries all of them and writes docs/bad_inputs.md.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.cli import main
from keras_gssl.recipes.catalogue import RECIPES
from keras_gssl.recipes.command_line import parse
from tests.pictures import make_folder

PAGE = Path(__file__).parents[1] / "docs" / "bad_inputs.md"
EXPECTED = (ValueError, TypeError)  # Python itself says so of an argument too many

images = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype("uint8")
labels = np.arange(12) % 3
normal = gssl.PixelNormalization(0.5, 0.25)


def network():
    pixels = keras.Input((16, 16, 3), name="pixels")  # names of its own: Keras' numbers differ from call to call
    maps = keras.layers.Conv2D(4, 3, name="conv")(pixels)
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D(name="features")(maps), name="network")


def model(loss=None, **arguments):
    arguments = {"tasks": [gssl.Flip()], "preprocessing": normal, "heads": "dense", **arguments}
    made = gssl.GatedSSLModel(network(), 3, **arguments)
    made.compile(loss=loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    return made


def from_arrays(**changed):
    given = {"train_images": images, "train_labels": labels, "test_images": images, "test_labels": labels, **changed}
    return gssl.data.from_arrays(**given)


def image_data(**changed):
    return gssl.data.ImageData(**{**from_arrays().__dict__, **changed})


def fit(x=images, y=labels, made=None, **options):
    return (made or model()).fit(x, y, verbose=0, **options)


def recipe(line, name="cifar10_lt"):
    """Settings of a recipe from its command line."""
    return parse(RECIPES[name].settings, name, "", line.split())


def dataset(x=images, y=labels):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(6)


class Nan(gssl.PretextTask):
    num_choices = 2

    def transform(self, patches, choices):
        return patches * np.nan


class Halves(gssl.PretextTask):
    num_choices = 2

    def transform(self, patches, choices):
        return patches[:, ::2]


class OneChoice(gssl.PretextTask):
    num_choices = 1


class TooManyLabels(gssl.PretextTask):
    num_choices = 2

    def transform(self, patches, choices):
        return patches

    def labels(self, choices, positions):
        return choices + 7


#: In each room expressions that must raise, as a user could write them; those of the command line in quotes.
ROOMS = {
    "Settings of a run": [
        *(f'recipe("{line}")' for line in (
            "--learning-rate inf", "--learning-rate nan", "--learning-rate 0", "--learning-rate -0.1",
            "--learning-rate 1e30", "--ssl-ratio nan", "--ssl-ratio -1", "--ssl-ratio inf", "--weight-decay nan",
            "--weight-decay -1", "--weight-decay 1e9", "--drop-epochs -5 3", "--drop-epochs 0", "--drop-epochs 9 3",
            "--drop-epochs 3 3", "--drop-factor 0", "--drop-factor 10", "--drop-factor nan", "--seed 4294967296",
            "--seed -1", "--batch-size 0", "--batch-size -3", "--batch-size 36893488147419103232", "--epochs 0",
            "--epochs 99999999999", "--warmup-epochs -3", "--momentum 1", "--momentum -0.5", "--momentum nan",
            "--average 1", "--average nan", "--share 1.5", "--share nan", "--mixing-share -0.1", "--adjustment nan",
            "--margin -1", "--margin 0.2 --loss balanced --class-head dense",
            "--gradient-ratio inf", "--gate-weights 1 2", "--gate-weights -1 2 3", "--gate-weights nan 1 1",
            "--devices 0", "--validation-freq 0", "--imbalance-ratio 0", "--imbalance-ratio 2",
            "--imbalance-ratio nan", "--reweight-epoch -1", "--plain-epochs 200", "--retrain-epochs 200",
            "--freeze-epochs 200", "--backbone-learning-rate-factor 2", "--backbone-learning-rate-factor 0",
            "--distil-weight inf", "--teachers -1", "--backbone resnet7", "--backbone vgg", "--tasks flip flip",
            "--label-augmentation sla-sd", "--method ce --tasks flip", "--schedule cosine --warmup-epochs 300",
            "--config none.toml",
        )),
        'recipe("photos --image-size 0", "image_folder")',
        'recipe("photos --image-size 33", "image_folder")',
        'recipe("photos --image-size 999999", "image_folder")',
        'recipe("photos --test 1.5", "image_folder")',
        'recipe("photos --test nan", "image_folder")',
        'recipe("photos --validation -0.1", "image_folder")',
        'recipe("photos --fold 1", "image_folder")',
        'recipe("photos --fold 0 5", "image_folder")',
        'recipe("photos --depth-range 5", "image_folder")',
        'recipe("photos --split-seed -1", "image_folder")',
        'gssl.runs.TrainingSettings(epochs=2.5)',
        'gssl.runs.TrainingSettings(epochs="many")',
        'gssl.runs.TrainingSettings(epochs=True)',
        'gssl.runs.TrainingSettings(tasks="lorot")',
        'gssl.runs.TrainingSettings(tasks=("lorott",))',
        'gssl.runs.TrainingSettings(nesterov="yes")',
        'gssl.runs.TrainingSettings(backbone=None)',
        'gssl.runs.TrainingSettings(run_dir="a\\0b")',
    ],
    "Losses, optimizers, schedules, callbacks": [
        "gssl.SGD(-1)", "gssl.SGD('fast')", "gssl.SGD(np.nan)", "gssl.SGD(0.1, momentum=1)",
        "gssl.SGD(0.1, momentum=np.nan)", "gssl.SGD(0.1, weight_decay=-1)", "gssl.SGD(0.1, weight_decay=np.nan)",
        "gssl.SGD(0.1, momentum=0, nesterov=True)", "gssl.AdamW(-1)", "gssl.AdamW(beta_1=1)",
        "gssl.AdamW(beta_2=np.nan)", "gssl.AdamW(weight_decay=np.inf)", "gssl.AdamW(epsilon=0)",
        "gssl.Muon(kernel_rate=0)",
        "gssl.LDAMLoss([5, 3], scale=0)", "gssl.LDAMLoss([5, 3], scale=np.nan)",
        "gssl.LDAMLoss([5, 3], max_margin=np.nan)",
        "gssl.LDAMLoss([5, 3], max_margin=-1)", "gssl.LDAMLoss([5, 0])", "gssl.LDAMLoss([5])", "gssl.LDAMLoss([])",
        "gssl.LDAMLoss('many')", "gssl.LDAMLoss([5, np.nan])", "gssl.LDAMLoss([5, 2.5])", "gssl.LDAMLoss({0: 5, 2: 3})",
        "gssl.LDAMLoss([[5, 3]])", "gssl.LogitAdjustedLoss([5, 3], temperature=np.nan)",
        "gssl.LogitAdjustedLoss([5, 3], temperature=-1)", "gssl.LogitAdjustedLoss([5, 3], scale=0)",
        "gssl.class_balanced_weights([5, 3], beta=1)", "gssl.class_balanced_weights([5, 3], beta=np.nan)",
        "gssl.ldam_margins([5, 3], max_margin=np.inf)", "gssl.StepSchedule(warmup_epochs=-3)",
        "gssl.StepSchedule(learning_rate=np.nan)", "gssl.StepSchedule(drops={-1: 0.1})",
        "gssl.StepSchedule(drops={5: np.nan})", "gssl.ToZero(0.1, steps=0)",
        "gssl.ToZero(0.1, steps=5, warmup_steps=5)",
        "gssl.ToZero(np.inf, steps=5)", "gssl.ToZero(0.1, steps=5, shape='wave')", "gssl.InTurn([], [])",
        "gssl.InTurn([gssl.ToZero(0.1, 5)], [0])", "gssl.DeferredReweighting([5, 3], start_epoch=-1)",
        "gssl.DeferredReweighting([5, 3], start_epoch=1, beta=2)", "gssl.RetrainClassifier(start_epoch=-1)",
        "gssl.FreezeBackbone(epochs=-1)", "gssl.FreezeBackbone(epochs=1.5)",
        "gssl.metrics.ClassAccuracy(0)", "gssl.metrics.ExpectedCalibrationError(bins=0)",
        "gssl.metrics.ExpectedCalibrationError(scale=np.nan)",
    ],
    "Models, tasks, gates": [
        "gssl.GatedSSLModel(network(), 0)", "gssl.GatedSSLModel(network(), 1)", "gssl.GatedSSLModel(network(), -3)",
        "gssl.GatedSSLModel(network(), 2.5)", "gssl.GatedSSLModel(network(), '3')", "gssl.GatedSSLModel('resnet', 3)",
        "gssl.GatedSSLModel(None, 3)", "gssl.GatedSSLModel(network(), 3, ['flip'])",
        "gssl.GatedSSLModel(network(), 3, [gssl.Flip(), gssl.Flip()])", "gssl.GatedSSLModel(network(), 3, [Nan()])",
        "gssl.GatedSSLModel(network(), 3, [Halves()])", "gssl.GatedSSLModel(network(), 3, [TooManyLabels()])",
        "OneChoice()", "gssl.Flip(axis='depth')", "gssl.Flip(name='class')", "gssl.Flip(name='My Task')",
        "gssl.GatedSSLModel(network(), 3, ssl_ratio=np.nan)", "gssl.GatedSSLModel(network(), 3, ssl_ratio=-1)",
        "gssl.GatedSSLModel(network(), 3, ssl_ratio='some')", "gssl.GatedSSLModel(network(), 3, gating='best')",
        "gssl.GatedSSLModel(network(), 3, heads='round')", "gssl.GatedSSLModel(network(), 3, task_heads='round')",
        "gssl.GatedSSLModel(network(), 3, logit_scale=0)", "gssl.GatedSSLModel(network(), 3, seed=-1)",
        "gssl.GatedSSLModel(network(), 3, average=2)", "gssl.GatedSSLModel(network(), 3, average=np.nan)",
        "gssl.GatedSSLModel(network(), 3, backbone_learning_rate_factor=0)",
        "gssl.GatedSSLModel(network(), 3, preprocessing='imagenet')",
        "gssl.GatedSSLModel(network(), 3, [gssl.Flip()], task_map='nowhere')",
        "gssl.GatedSSLModel(network(), 3, steering='wild')", "gssl.RewardedGate(temperature=0)",
        "gssl.RewardedGate(temperature=np.nan)", "gssl.LookAheadGate(every=0)", "gssl.LookAheadGate(distance=np.inf)",
        "gssl.ConstantGate(weights=[1, -1])", "gssl.ConstantGate(weights=[np.nan])", "gssl.TaskDraw(share=2)",
        "gssl.TaskDraw('scattered')", "gssl.TaskDraw(until_epoch=-1)", "gssl.MixUp(alpha=0)",
        "gssl.CutMix(share=np.nan)",
        "gssl.RandomResizedCrop(area=0.5)", "gssl.RandomResizedCrop(area=(0.9, 0.5))",
        "gssl.RandAugment(magnitude=99)", "gssl.Cutout(side=0)", "gssl.LookAheadSteering(memory=0)",
        "gssl.Distillation([])", "gssl.Distillation([network()], weight=np.nan)",
        "gssl.PixelNormalization(0.5, 0)", "gssl.PixelNormalization(0.5, np.nan)", "gssl.PixelNormalization(0.5, -1)",
        "gssl.PixelNormalization(127, 64)", "gssl.PixelNormalization(np.nan, 0.2)",
        "gssl.PixelNormalization(0.5, 0.2, scale=0)", "gssl.PixelNormalization('grey', 0.2)",
        "gssl.CosineHead(0)", "gssl.backbones.resnet_cifar(7)", "gssl.backbones.make_backbone('resnet9', (32, 32, 3))",
    ],
    "Data": [
        "from_arrays(train_images=images / 255)", "from_arrays(train_images=images[0])",
        "from_arrays(train_labels=labels[:5])", "from_arrays(train_labels=labels + 0.7)",
        "from_arrays(train_labels=labels - 1)", "from_arrays(train_labels=np.ones((12, 3), int))",
        "from_arrays(train_labels=np.full(12, np.nan))", "from_arrays(test_labels=['cat'] * 12)",
        "from_arrays(class_names=['a', 'b'])", "from_arrays(class_names=['a', 'a', 'b'])",
        "from_arrays(test_images=images[..., :1])", "from_arrays(test_images=images[:, :8])",
        "from_arrays(train_images=images[:0], train_labels=labels[:0])",
        "from_arrays(test_images=images[:0], test_labels=labels[:0])",
        "from_arrays(std=[0.2, 0.0, 0.2])", "from_arrays(std=[0.2, -0.1, 0.2])", "from_arrays(std=[np.nan] * 3)",
        "from_arrays(mean=[127, 127, 127])", "from_arrays(mean=[0.5, 0.5])", "from_arrays(train_images=images * 0)",
        "from_arrays(crop_padding=-1)", "image_data(class_names=('a', 'b'))", "image_data(class_names=('a', 'b', 'b'))",
        "image_data(std=(0.0, 0.2, 0.2))", "image_data(mean=(99.0, 99.0, 99.0))", "image_data(train_labels=labels[:3])",
        "image_data(validation_images=images)", "from_arrays().train(batch_size=0)", "from_arrays().train(seed=-1)",
        "from_arrays().test(batch_size=0)", "gssl.data.cifar10_lt(imbalance_ratio=0)",
        "gssl.data.cifar10_lt(imbalance='steep')",
        "gssl.data.digits_lt(imbalance_ratio=0.0001)", "gssl.data.image_folder('nowhere')",
        "gssl.data.image_folder('photos', image_size=7)", "gssl.data.image_folder('photos', test=1.0)",
        "gssl.data.image_folder('photos', cache='cloud')", "gssl.data.image_folder('empty')",
        "gssl.data.image_folder('letter.txt')", "gssl.data.image_arrays('letter.txt')",
    ],
    "fit, evaluate, predict": [
        "fit(images / 255)", "fit(images.astype('float32') * 1000)", "fit(normal(images).numpy())",
        "fit(np.where(images > 250, np.nan, images))", "fit(np.full(images.shape, np.inf))", "fit(y=labels + 0.7)",
        "fit(y=labels + 1)", "fit(y=labels - 1)", "fit(y=np.eye(5)[labels])", "fit(y=np.array(['cat'] * 12))",
        "fit(y=np.full(12, np.nan))", "fit(y=np.zeros((12, 2, 2)))", "fit(dataset(images / 255), None)",
        "fit(dataset(y=np.array(['cat'] * 12)), None)", "fit(dataset(y=labels + 1), None)",
        "fit(dataset(images.astype('float32') * np.nan), None)",
        "fit(tf.data.Dataset.from_tensor_slices(images).batch(6), None)", "fit(class_weight={7: 2.0})",
        "fit(made=model(gssl.LDAMLoss([4, 4, 4])))", "fit(made=model(gssl.LogitAdjustedLoss([4, 4])))",
        "model().evaluate(images / 255, labels)", "model().evaluate(images, labels + 5)",
        "model().predict(images / 255)", "model().predict(np.full(images.shape, np.nan))",
        "fit(validation_data=(images / 255, labels))", "fit(validation_data=(images, labels + 9))",
        "gssl.data.with_pretext(dataset().unbatch(), [gssl.Flip()])",
        "gssl.LevelUpdate(from_arrays().train(), per_level=0)", "gssl.LevelUpdate(from_arrays().train(), threshold=2)",
    ],
    "Command line": [
        '"train image_folder nowhere"', '"train image_folder empty"', '"train image_folder letter.txt"',
        '"train image_folder photos --image-size 7"', '"train image_folder photos --backbone-weights none.keras"',

        '"train image_folder photos --resume --run-dir nowhere"', '"train image_folder photos --run-dir letter.txt"',
        '"train cifar10_lt --learning-rate inf"', '"train cifar10_lt --learning-rate fast"',
        '"train cifar10_lt --config letter.txt"', '"train digits"', '"fly"',
        '"report nowhere"', '"report empty"', '"export onnx nowhere -o net.onnx"',
        '"export pickle photos"',
        '"predict letter.txt letter.txt"', '"predict none.onnx photos"',
        '"explain nowhere sample:0"', '"audit nowhere"',
        '"watch nowhere"', '"compare nowhere"', '"compare photos --folds 1"',
        '"compare photos --jobs 0"', '"compare photos --jobs 2 --ray auto"',
        '"compare photos --methods ce balanced:margin"', '"compare photos --methods ce balanced:augmentations=cut"',
        '"tables letter.txt"',
        '"tables none.toml"',
    ],
}  # fmt: skip


def message(expression):
    """What a person is told, in a folder of `photos`, an `empty` folder and a `letter.txt`."""
    if expression.startswith('"'):
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = main(expression.strip('"').split())
            except SystemExit as ended:
                code = ended.code
        lines = said.getvalue().strip().splitlines()
        assert code == 2, f"exit code {code}: {said.getvalue()}"
        assert "Traceback" not in said.getvalue() and (len(lines) == 1 or lines[0].startswith("usage")), lines
        return re.sub(r"\(choose from (.*)\)", lambda found: found[0].replace("'", ""), lines[-1])  # as of Python 3.12
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            eval(expression)
    except EXPECTED as error:
        return str(error)
    raise AssertionError("was taken")


@contextlib.contextmanager
def desk():
    """A working folder with a few things in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make_folder(Path("photos"))
            Path("empty").mkdir()
            Path("letter.txt").write_text("Dear reader,\n\nthis is no picture.\n")
            yield
        finally:
            os.chdir(before)


def complaint(text):
    """What is wrong with a message, or None."""
    if not text.strip() or len(text.splitlines()) > 1:
        return f"{len(text.splitlines())} lines"
    deep = (
        "tensorflow/",
        "keras/src",
        "{{",
        "Traceback",
        "NoneType",
        "object has no attribute",
        "NumPy boolean",
        "reduction",
        "object at 0x",
    )
    found = next((word for word in deep if word in text), None)
    return found and f"comes from deep inside: {found}"


def page(told):
    """The table for readers."""
    count = sum(len(each) for each in told.values())
    parts = [
        "# Bad inputs and what is said of them\n",
        f"{count} things that people give by mistake, tried by `tests/test_bad_inputs.py`, which makes this page. Each "
        "ends before training, in one line; a command ends with exit code 2. `images` are twelve pictures of 16x16 "
        'pixels, `labels` their classes 0 to 2, `network()` is a small backbone, `recipe("...")` the options of '
        "`cifar10_lt`, `from_arrays(...)` changes one argument of a good call, and so do `fit(...)` and the like.\n",
    ]
    for room, lines in told.items():
        parts.append(f"\n## {room}\n\n| Input | Message |\n|---|---|\n")
        parts += [f"| `{given.replace('|', chr(92) + '|')}` | {_cell(said)} |\n" for given, said in lines.items()]
    return "\n".join(parts[:2]) + "".join(parts[2:])


def _cell(text):
    return (
        text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
        if "`" not in text
        else text.replace("|", "\\|")
    )


def all_messages(rooms=ROOMS):
    told, wrong = {room: {} for room in rooms}, []
    with desk():
        for room, expressions in rooms.items():
            for expression in expressions:
                try:
                    text = message(expression)
                    bad = complaint(text)
                except BaseException as error:
                    text, bad = "", f"{type(error).__name__}: {str(error)[:300]}"
                told[room][expression] = text
                if bad:
                    wrong.append(f"{expression}: {bad}: {text[:300]}")
    return told, wrong


if __name__ == "__main__":
    told, wrong = all_messages({name: ROOMS[name] for name in sys.argv[1:]} or ROOMS)
    for line in wrong:
        print("WRONG", line)
    print(sum(len(each) for each in told.values()), "tried,", len(wrong), "wrong")
    if not wrong and not sys.argv[1:]:
        PAGE.write_text(page(told))
