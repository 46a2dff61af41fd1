"""Learning rate and re-weighting as functions of the epoch, against golden tables."""

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.callbacks import scale_milestones


def test_cifar_table(golden):
    schedule = gssl.StepSchedule(0.1, warmup_epochs=5, drops={160: 0.01, 180: 0.0001})
    for epoch, rate in golden["lr_cifar_base0.1_by_epoch0based"].items():
        assert schedule(int(epoch)) == pytest.approx(rate)


def test_tiny_imagenet_table(golden):
    schedule = gssl.StepSchedule(0.1, drops={epoch: 0.1 ** (i + 1) for i, epoch in enumerate((74, 149, 224, 299))})
    for epoch, rate in golden["lr_tiny_dec2022_runs_base0.1_by_epoch0based"].items():
        assert schedule(int(epoch)) == pytest.approx(rate)


def test_short_runs_scale_and_long_ones_do_not():
    assert scale_milestones((160, 180), 20, 200) == (16, 18)
    assert scale_milestones((160, 180), 300, 200) == (160, 180)


def test_reweighting_starts_at_its_epoch(golden):
    values = golden["long_tail"]["cifar10_0.01"]
    drw = gssl.DeferredReweighting(values["counts"], start_epoch=160)
    np.testing.assert_array_equal(drw(159), np.ones(10))
    np.testing.assert_allclose(drw(160), values["drw_weights"], rtol=1e-9)


def test_callbacks_set_rate_and_weights(small_data, make_model):
    model = make_model()
    schedule = gssl.StepSchedule(0.1, warmup_epochs=1, drops={1: 0.01})
    drw = gssl.DeferredReweighting(small_data.class_counts, start_epoch=1)
    history = model.fit(small_data.train(25), epochs=2, callbacks=[schedule, drw], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.001])
    np.testing.assert_allclose(model.class_weights.numpy(), drw(1), rtol=1e-6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_training_with_epoch_and_step(bad):
    def model():
        made = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        made.compile("sgd", "mse", run_eagerly=True)
        return made

    values = np.ones((6, 2), "float32")
    values[3] = bad
    with pytest.raises(gssl.DivergedError, match=r"(nan|inf) in epoch 1, step 4, at the learning rate 0\.01"):
        model().fit(values, np.ones(6), batch_size=1, shuffle=False, verbose=0, callbacks=[gssl.StopIfNotFinite()])
    model().fit(values[:3], np.ones(3), verbose=0, callbacks=[gssl.StopIfNotFinite()])
