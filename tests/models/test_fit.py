"""`GatedSSLModel` in place of a `keras.Model`: any data, callback and way to compile, or a line that says why not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.data.pipeline import TASKS, draw_seed
from keras_gssl.pretext.draw import draw_and_apply
from tests.networks import small_backbone

NORMALISE = gssl.PixelNormalization(0.5, 0.25)


def make(heads="cosine", compile_args=None, **arguments):
    keras.utils.set_random_seed(0)
    arguments = {"tasks": [gssl.Flip(), gssl.LoRotE()], "preprocessing": NORMALISE, **arguments}
    backbone = arguments.pop("backbone", None) or small_backbone()
    model = gssl.GatedSSLModel(backbone, 3, heads=heads, **arguments)
    losses = {
        "cosine": gssl.LDAMLoss([20, 12, 8]),
        "dense": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    model.compile(
        **{"optimizer": gssl.SGD(0.05), "loss": losses[heads], "metrics": ["accuracy"], **(compile_args or {})}
    )
    return model


@pytest.fixture(scope="module")
def pixels():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [20, 12, 8])
    tint = np.eye(3)[labels][:, None, None, :] * 100
    return (random.uniform(0, 155, (40, 16, 16, 3)) + tint).astype("uint8"), labels


def as_dataset(images, *labels, batch=10):
    return tf.data.Dataset.from_tensor_slices((images, *labels)).batch(batch)


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 4

    def __getitem__(self, index):
        chosen = slice(10 * index, 10 * index + 10)
        return self.images[chosen], self.labels[chosen]


def with_backup(folder):
    return keras.callbacks.BackupAndRestore(folder / "backup")


def adam():
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 10))


#: What is tried, what `fit` gets, how the model is made. `x` are images, `y` labels.
VARIANTS = {
    "arrays": (lambda x, y, folder: ((x, y), {}), {}),
    "tensors": (lambda x, y, folder: ((tf.constant(x), tf.constant(y)), {}), {}),
    "dataset": (lambda x, y, folder: ((as_dataset(x, y),), {}), {}),
    "dataset with weights": (lambda x, y, folder: ((as_dataset(x, y, np.ones(40, "float32")),), {}), {}),
    "PyDataset": (lambda x, y, folder: ((Batches(x, y),), {}), {}),
    "generator": (lambda x, y, folder: ((((x[:10], y[:10]) for _ in range(9)),), {"steps_per_epoch": 4}), {}),
    "labels (batch, 1)": (lambda x, y, folder: ((x, y[:, None]), {}), {}),
    "one-hot labels, LDAM": (lambda x, y, folder: ((x, np.eye(3)[y]), {}), {}),
    "one-hot labels, cross-entropy": (
        lambda x, y, folder: ((x, np.eye(3)[y]), {}),
        {"heads": "dense", "compile_args": {"loss": keras.losses.CategoricalCrossentropy(from_logits=True)}},
    ),
    "class_weight": (lambda x, y, folder: ((x, y), {"class_weight": {0: 1.0, 1: 2.0, 2: 3.0}}), {}),
    "sample_weight": (lambda x, y, folder: ((x, y), {"sample_weight": np.linspace(0, 1, 40)}), {}),
    "validation_split": (lambda x, y, folder: ((x, y), {"validation_split": 0.25}), {}),
    "EarlyStopping": (
        lambda x, y, folder: (
            (x, y),
            {
                "validation_data": (x, y),
                "callbacks": [keras.callbacks.EarlyStopping("val_loss", restore_best_weights=True)],
            },
        ),
        {},
    ),
    "ReduceLROnPlateau": (
        lambda x, y, folder: ((x, y), {"callbacks": [keras.callbacks.ReduceLROnPlateau("loss", patience=0)]}),
        {},
    ),
    "ModelCheckpoint": (
        lambda x, y, folder: (
            (x, y),
            {
                "validation_data": as_dataset(x, y),
                "callbacks": keras.callbacks.ModelCheckpoint(folder / "best.keras", monitor="val_accuracy"),
            },
        ),
        {},
    ),
    "BackupAndRestore": (lambda x, y, folder: ((x, y), {"callbacks": [with_backup(folder)]}), {}),
    "TerminateOnNaN": (lambda x, y, folder: ((x, y), {"callbacks": [keras.callbacks.TerminateOnNaN()]}), {}),
    "SwapEMAWeights": (
        lambda x, y, folder: ((x, y), {"callbacks": [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]}),
        {"compile_args": {"optimizer": gssl.SGD(0.05, use_ema=True)}},
    ),
    "Adam with a schedule": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"optimizer": adam()}}),
    "Keras' SGD with EMA, clipping": (
        lambda x, y, folder: ((x, y), {}),
        {"compile_args": {"optimizer": keras.optimizers.SGD(0.05, use_ema=True, global_clipnorm=1.0)}},
    ),
    "gradient accumulation": (
        lambda x, y, folder: ((x, y), {}),
        {"compile_args": {"optimizer": keras.optimizers.SGD(0.05, gradient_accumulation_steps=2)}},
    ),
    "steps_per_execution": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"steps_per_execution": 2}}),
    "run_eagerly": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"run_eagerly": True}}),
    "jit_compile": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"jit_compile": True}}),
    "own metrics": (
        lambda x, y, folder: ((x, y), {}),
        {"compile_args": {"metrics": [gssl.metrics.ClassAccuracy(3), gssl.metrics.ExpectedCalibrationError(30)]}},
    ),
    "a gate object": (lambda x, y, folder: ((x, y), {}), {"gating": gssl.RewardedGate(temperature=0.2)}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_fit_takes(name, pixels, tmp_path):
    arguments, how = VARIANTS[name]
    given, options = arguments(*pixels, tmp_path)
    model = make(**how)
    before = [weights.copy() for weights in model.get_weights()]
    options = {"batch_size": 10, **options} if isinstance(given[0], (np.ndarray, tf.Tensor)) else options
    history = model.fit(*given, epochs=2, verbose=0, **options).history
    assert len(history["loss"]) == 2 and all(np.isfinite(values).all() for values in history.values())
    assert {"class_loss", "flip_loss", "lorot_accuracy", "gate_flip"} <= set(history)
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    assert np.isfinite(model.predict(pixels[0][:4], verbose=0)).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_on_arrays(policy, pixels):
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    history = model.fit(*pixels, batch_size=10, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and model.predict(pixels[0][:2], verbose=0).dtype == "float32"


def test_images_of_a_directory(pixels, tmp_path):
    images, labels = pixels
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / f"class {label}"
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"{number}.png", image, scale=False)
    dataset = keras.utils.image_dataset_from_directory(tmp_path, image_size=(16, 16), batch_size=10, verbose=False)
    history = make().fit(dataset, validation_data=dataset, epochs=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


class Recorder(gssl.PretextTask):
    """Adds the label to the quadrant, so that what was drawn can be seen in what a layer gets."""

    num_choices = 5

    def transform(self, patches, choices):
        return patches + tf.cast(choices, patches.dtype)[:, None, None, None]


def test_the_step_draws_what_the_pipeline_draws(pixels):
    """Same seed, same batches, no other augmentation: the same training."""
    images, labels = pixels
    data = gssl.data.from_arrays(
        images, labels, images, labels, mean=[0.5] * 3, std=[0.25] * 3, crop_padding=0, horizontal_flip=False
    )
    tasks = [gssl.Flip(), gssl.LoRotE()]
    order = []
    for batch in data.train(10, (), seed=3).one_epoch():
        difference = np.abs(NORMALISE(images).numpy()[None] - batch[0].numpy()[:, None]).sum(axis=(2, 3, 4))
        order += difference.argmin(axis=1).tolist()
    in_step, in_pipeline = make(seed=3, tasks=tasks), make(tasks=tasks)
    one = in_step.fit(images[order], labels[order], batch_size=10, shuffle=False, verbose=0).history
    other = in_pipeline.fit(data.train(10, tasks, seed=3), verbose=0).history
    assert one.keys() == other.keys()
    for name in one:
        assert one[name] == pytest.approx(other[name], rel=1e-4), name
    again = make(seed=4, tasks=tasks).fit(images[order], labels[order], batch_size=10, shuffle=False, verbose=0)
    assert again.history["flip_accuracy"] != one["flip_accuracy"]


def batches_seen(model, training_set, epochs, **options):
    """The labels of the first task in every batch that a fit trains on."""
    seen = []
    step = model.step_losses

    def record(images, labels, weight):
        seen.append(labels["flip"].numpy().tolist())
        return step(images, labels, weight)

    model.step_losses = record
    model.fit(training_set, epochs=epochs, verbose=0, **options)
    model.step_losses = step
    return seen


def test_what_is_drawn_is_counted_by_the_optimizer(pixels, tmp_path):
    """A run that is saved and goes on draws what an uninterrupted one draws."""
    dataset, eager = as_dataset(*pixels), {"run_eagerly": True}
    whole, first = make(compile_args=eager), make(compile_args=eager)
    expected = batches_seen(whole, dataset, 4)
    drawn = batches_seen(first, dataset, 2)
    first.save(tmp_path / "half.keras")
    second = keras.saving.load_model(tmp_path / "half.keras")
    second.run_eagerly = True
    assert drawn + batches_seen(second, dataset, 4, initial_epoch=2) == expected
    assert len({tuple(each) for each in expected}) > 12, "every step draws anew"
    for one, other in zip(whole.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-3)  # sums over threads come in any order


def test_a_second_fit_goes_on_with_new_batches(small_data):
    tasks = [gssl.Flip(), gssl.LoRotE()]
    expected = [labels["flip"].numpy().tolist() for _, labels in small_data.train(25, tasks).from_epoch().take(8)]
    model = make(compile_args={"run_eagerly": True}, preprocessing=None)
    assert batches_seen(model, small_data.train(25, tasks), 2) == expected[:4]
    assert batches_seen(model, small_data.train(25, tasks), 1) == expected[4:6]
    assert batches_seen(model, small_data.train(25, tasks), 4, initial_epoch=3) == expected[6:8]


class StopError(Exception):
    pass


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epochs:
            raise StopError


def test_backup_and_restore_goes_on_with_the_batches_that_follow(small_data, tmp_path):
    tasks = [gssl.Flip(), gssl.LoRotE()]
    expected = [labels["flip"].numpy().tolist() for _, labels in small_data.train(25, tasks).from_epoch().take(6)]
    eager = {"run_eagerly": True}
    with pytest.raises(StopError):
        make(compile_args=eager, preprocessing=None).fit(
            small_data.train(25, tasks), epochs=3, verbose=0, callbacks=[with_backup(tmp_path), StopAfter(2)]
        )
    model = make(compile_args=eager, preprocessing=None)
    assert batches_seen(model, small_data.train(25, tasks), 3, callbacks=[with_backup(tmp_path)]) == expected[4:]


def test_with_pretext_alters_any_pipeline(pixels):
    images, labels = pixels
    tasks = [gssl.Flip(), gssl.LoRotE()]
    plain = as_dataset(images, labels, np.ones(40, "float32"))
    altered = gssl.data.with_pretext(plain, tasks, seed=1, preprocessing=NORMALISE)
    passes = [[(batch[0].numpy(), batch[1]["flip"].numpy()) for batch in altered] for _ in range(2)]
    again = gssl.data.with_pretext(plain, tasks, seed=1, preprocessing=NORMALISE)
    for number, (batch, (got, flips)) in enumerate(zip(again, passes[0], strict=True)):
        np.testing.assert_array_equal(batch[0], got)
        np.testing.assert_array_equal(batch[1]["flip"], flips)
        assert batch[1]["class"].shape == (10,) and batch[2].shape == (10,), number
    assert any((one[1] != two[1]).any() for one, two in zip(*passes, strict=True)), "every pass draws anew"
    wanted, _ = draw_and_apply(NORMALISE(images[:10]), tasks, draw_seed(1, TASKS, 0))
    np.testing.assert_array_equal(passes[0][0][0], wanted)
    history = make().fit(altered, validation_data=as_dataset(images, labels), epochs=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()
    with pytest.raises(ValueError, match="call dataset.batch"):
        gssl.data.with_pretext(tf.data.Dataset.from_tensor_slices((images, labels)), tasks)
    with pytest.raises(ValueError, match="batches of \\(images, labels\\)"):
        gssl.data.with_pretext(tf.data.Dataset.from_tensor_slices(images), tasks)


def test_training_and_test_sets_can_be_looked_at(small_data, tasks):
    batches, test = small_data.train(20, tasks), small_data.test(10)
    assert len(batches) == 3 and len(test) == 3 and len(list(batches)) == 3
    images, labels = next(iter(batches))
    assert images.shape == (20, 16, 16, 3) and set(labels) == {"class", "lorot", "flip", "channels"}
    assert next(iter(test))[0].shape == (10, 16, 16, 3) and len(list(test.take(1))) == 1
    model = make(tasks=tasks, preprocessing=None, backbone=small_backbone())
    assert 0 <= model.evaluate(batches, verbose=0, return_dict=True)["accuracy"] <= 1
    assert model.predict(test, verbose=0).shape == (24, 3)


def test_class_weight_with_training_data(small_data, tasks):
    histories = []
    for class_weight in (None, {0: 1.0, 1: 1.0, 2: 1.0}, {2: 50.0}):
        model = make(tasks=tasks, preprocessing=None)
        fit = model.fit(small_data.train(25, tasks), epochs=1, verbose=0, class_weight=class_weight)
        histories.append(fit.history["class_loss"][0])
    assert histories[0] == pytest.approx(histories[1], rel=1e-5) and histories[2] != pytest.approx(
        histories[0], rel=0.01
    )
    with pytest.raises(ValueError, match="class_weight has the class 7"):
        make(tasks=tasks, preprocessing=None).fit(small_data.train(25, tasks), class_weight={7: 1.0})


@pytest.mark.parametrize("heads", ["cosine", "dense"])
def test_sample_weights_count_as_in_keras_and_may_be_zero(heads, pixels):
    images, labels = pixels
    weights = np.linspace(0, 1, 10, dtype="float32")
    weights[:5] = 0
    model = make(heads, tasks=())
    batch = images[:10], labels[:10]
    outputs = model.class_head(model.features(model.normalised(batch[0]), training=True)).numpy()
    own = model.loss(batch[1], outputs, sample_weight=weights).numpy()
    history = model.fit(*batch, sample_weight=weights, batch_size=10, verbose=0).history
    assert history["class_loss"][0] == pytest.approx(own, rel=1e-4)
    nothing = model.fit(*batch, sample_weight=np.zeros(10), batch_size=10, verbose=0).history
    assert nothing["class_loss"][0] == 0
    assert all(np.isfinite(values).all() for values in model.get_weights())


MISTAKES = {
    "values 0-1 where 0-255 are expected": (lambda x, y: (x / 255, y), {}, "multiply the images by 255"),
    "values 0-255 where 0-1 are expected": (
        lambda x, y: (x, y),
        {"preprocessing": gssl.PixelNormalization(0.5, 0.25, scale=1)},
        "divide the images by 255",
    ),
    "normalised where pixels are expected": (lambda x, y: (NORMALISE(x).numpy(), y), {}, "normalises them itself"),
    "pixels where normalised are expected": (lambda x, y: (x, y), {"preprocessing": None}, "look like pixels"),
}


@pytest.mark.parametrize("kind", ["arrays", "dataset", "PyDataset", "generator"])
@pytest.mark.parametrize("name", MISTAKES)
def test_images_on_another_scale_are_refused_whatever_they_come_in(name, kind, pixels):
    change, how, message = MISTAKES[name]
    images, labels = change(*pixels)
    kinds = {
        "arrays": lambda: (images, labels),
        "dataset": lambda: (as_dataset(images, labels),),
        "PyDataset": lambda: (Batches(images, labels),),
        "generator": lambda: (((images[:10], labels[:10]) for _ in range(4)),),
    }
    with pytest.raises(ValueError, match=message) as caught:
        make(**how).fit(*kinds[kind](), epochs=1, verbose=0)
    assert len(str(caught.value).splitlines()) == 1


def test_predict_and_evaluate_refuse_them_too(pixels):
    images, labels = pixels
    with pytest.raises(ValueError, match="look like pixels"):
        make(preprocessing=None).predict(images, verbose=0)
    with pytest.raises(ValueError, match="multiply the images"):
        make().evaluate(images / 255, labels, verbose=0)
    with pytest.raises(ValueError, match="multiply the images"):
        make().fit(images, labels, validation_data=(images / 255, labels), verbose=0)
    with pytest.raises(ValueError, match="received 'cat'"):
        make().fit(images, np.array(["cat"] * 40), verbose=0)
    with pytest.raises(ValueError, match="received strings"):
        make().fit(as_dataset(images, np.array(["cat"] * 40)), verbose=0)


def test_a_backbone_that_scales_by_itself_takes_pixels(pixels):
    backbone = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), small_backbone()])
    model = make(backbone=backbone, preprocessing=None)
    assert np.isfinite(model.fit(*pixels, verbose=0).history["loss"]).all()
    flat = model.classifier(logit_scale=1.0)
    assert [type(layer).__name__ for layer in flat.layers][1:3] == ["Rescaling", "Conv2D"], "unfolded"
    np.testing.assert_allclose(
        flat.predict(pixels[0], verbose=0), model.predict(pixels[0], verbose=0), rtol=1e-4, atol=1e-5
    )


def test_what_drawn_tasks_do_to_an_image_is_the_task(pixels):
    images, labels = pixels
    model = make(tasks=[Recorder()], gating="none")
    prepared, named = model.prepare(tf.constant(images), tf.constant(labels))
    added = (prepared - model.normalised(images)).numpy()
    quadrants = added.reshape(40, 2, 8, 2, 8, 3).max(axis=(2, 4, 5)).reshape(40, 4)
    np.testing.assert_allclose(quadrants.max(axis=1), named["recorder"], atol=1e-4)
    assert (np.count_nonzero(quadrants > 0.5, axis=1) <= 1).all() and len(set(named["recorder"].numpy())) > 2


def test_pixels_that_overshoot_a_little_are_pixels(pixels):
    images, labels = pixels
    bicubic = images.astype("float32") + np.linspace(-12, 6, 40)[:, None, None, None].astype("float32")
    make().fit(bicubic, labels, verbose=0)
    assert make().predict(np.ones((4, 16, 16, 3), "uint8"), verbose=0).shape == (4, 3), "dark, not on the scale 0-1"


def test_altered_pixels_that_were_not_normalised_are_refused(pixels):
    altered = gssl.data.with_pretext(as_dataset(*pixels), [gssl.Flip(), gssl.LoRotE()])
    with pytest.raises(ValueError, match="look like pixels"):
        make().fit(altered, verbose=0)


def test_altered_batches_take_class_weight(pixels):
    losses = []
    for class_weight in (None, {0: 1.0}, {2: 40.0}):
        altered = gssl.data.with_pretext(as_dataset(*pixels), [gssl.Flip(), gssl.LoRotE()], preprocessing=NORMALISE)
        losses += make("dense").fit(altered, class_weight=class_weight, verbose=0).history["class_loss"]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[2] != pytest.approx(losses[0], rel=0.01)


def test_training_batches_are_normalised_once(small_data, tasks):
    model = make(tasks=tasks)
    batches = small_data.train(50, tasks)
    images = next(iter(batches.normalised_as(NORMALISE)))[0]
    wanted = model.class_head(model.features(images, training=False))
    np.testing.assert_allclose(model.predict(batches, verbose=0), wanted, rtol=1e-4, atol=1e-5)


def test_accumulated_gradients_still_draw_anew_in_every_step(pixels):
    images, labels = (each[:20] for each in pixels)
    optimizer = keras.optimizers.SGD(0.05, gradient_accumulation_steps=4)
    model = make(compile_args={"optimizer": optimizer, "run_eagerly": True})
    dataset = as_dataset(images, labels, batch=5)
    drawn = batches_seen(model, dataset, 1)
    assert len(drawn) == 4 and len({tuple(each) for each in drawn}) == 4
    assert model.steps_done() == 4


def test_test_data_fits_a_plain_keras_model(small_data):
    model = make(preprocessing=None)
    plain = model.classifier()
    plain.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    assert 0 <= plain.evaluate(small_data.test(), verbose=0, return_dict=True)["accuracy"] <= 1
    assert plain.predict(small_data.test(), verbose=0).shape == (24, 3)


@pytest.mark.parametrize("compiled", [False, True])
def test_two_fits_of_one_epoch_are_one_of_two(small_data, compiled):
    """With two steps an epoch: without XLA the step's count rises before its batch is there."""
    batches, weights = small_data.train(25, seed=0), []
    for calls in ([(0, 2)], [(0, 1), (1, 2)]):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
        model = gssl.GatedSSLModel(keras.Sequential(layers), 3)
        model.compile(gssl.SGD(0.02, 0.9), gssl.LDAMLoss(small_data.class_counts), jit_compile=compiled)
        for initial_epoch, epochs in calls:
            model.fit(batches, initial_epoch=initial_epoch, epochs=epochs, verbose=0)
        weights.append(model.get_weights())
    for one, two in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, two)
