"""What `fit` alters: in the step as in a pipeline, anew in every step, going on where training stopped."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.data.pipeline import TASKS, draw_seed
from keras_gssl.pretext.draw import draw_and_apply
from tests.interruptions import KilledAt, KilledError
from tests.models.fitting import NORMALISE, Recorder, as_dataset, make, with_backup
from tests.networks import small_backbone


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


def test_backup_and_restore_goes_on_with_the_batches_that_follow(small_data, tmp_path):
    tasks = [gssl.Flip(), gssl.LoRotE()]
    expected = [labels["flip"].numpy().tolist() for _, labels in small_data.train(25, tasks).from_epoch().take(6)]
    eager = {"run_eagerly": True}
    with pytest.raises(KilledError):
        make(compile_args=eager, preprocessing=None).fit(
            small_data.train(25, tasks), epochs=3, verbose=0, callbacks=[with_backup(tmp_path), KilledAt(2)]
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


def test_what_drawn_tasks_do_to_an_image_is_the_task(pixels):
    images, labels = pixels
    model = make(tasks=[Recorder()], gating="none")
    prepared, named = model.prepare(tf.constant(images), tf.constant(labels))
    added = (prepared - model.normalised(images)).numpy()
    quadrants = added.reshape(40, 2, 8, 2, 8, 3).max(axis=(2, 4, 5)).reshape(40, 4)
    np.testing.assert_allclose(quadrants.max(axis=1), named["recorder"], atol=1e-4)
    assert (np.count_nonzero(quadrants > 0.5, axis=1) <= 1).all() and len(set(named["recorder"].numpy())) > 2


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
