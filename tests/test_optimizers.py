"""The SGD rule against golden values."""

import keras
import numpy as np
import pytest

import keras_gssl as gssl


def test_rule_equals_golden_over_learning_rate_drops(golden):
    values = golden["sgd_pytorch"]
    optimizer = gssl.SGD(values["lrs"][0], momentum=values["momentum"], weight_decay=values["weight_decay"])
    weight = keras.Variable(np.array(values["p0"], "float32"))
    for rate, gradient, expected in zip(values["lrs"], values["grads"], values["p_after_each_step"], strict=True):
        optimizer.learning_rate = rate
        optimizer.apply([np.array(gradient, "float32")], [weight])
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-5)


def test_weights_left_out_are_not_decayed():
    moved, left = keras.Variable(np.ones(2, "float32")), keras.Variable(np.ones(2, "float32"))
    optimizer = gssl.SGD(0.1, weight_decay=0.5)
    optimizer.build([moved, left])
    optimizer.apply([np.zeros(2, "float32")], [moved])
    np.testing.assert_allclose(moved.numpy(), 0.95)
    np.testing.assert_array_equal(left.numpy(), 1)


def test_round_trip():
    optimizer = gssl.SGD(0.3, momentum=0.8, weight_decay=1e-3)
    again = gssl.SGD.from_config(optimizer.get_config())
    assert (again.momentum, again.l2, float(again.learning_rate)) == (0.8, 1e-3, pytest.approx(0.3))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="momentum must be at least 0 and below 1"):
        gssl.SGD(momentum=1.0)
    with pytest.raises(ValueError, match="weight_decay must be at least 0"):
        gssl.SGD(weight_decay=-1)


def test_nesterov_equals_numpy():
    weight, velocity, variable = 1.5, 0.0, keras.Variable(1.5)
    optimizer = gssl.SGD(0.1, momentum=0.9, weight_decay=0.01, nesterov=True)
    optimizer.build([variable])
    for gradient in (0.3, -0.2, 0.5):
        optimizer.apply([np.float32(gradient)], [variable])
        decayed = gradient + 0.01 * weight
        velocity = 0.9 * velocity + decayed
        weight -= 0.1 * (decayed + 0.9 * velocity)
        np.testing.assert_allclose(float(variable), weight, rtol=1e-6)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert again.nesterov and again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match="momentum above 0"):
        gssl.SGD(0.1, momentum=0, nesterov=True)


@pytest.mark.parametrize("learning_rate", [1e-2, keras.optimizers.schedules.CosineDecay(1e-2, 10)])
def test_adamw_equals_keras_own(learning_rate):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=5).astype("float32"), random.normal(size=(8, 5)).astype("float32")
    ours, theirs = keras.Variable(start), keras.Variable(start)
    one = gssl.AdamW(learning_rate, weight_decay=0.1)
    other = keras.optimizers.AdamW(learning_rate, weight_decay=0.1)
    for gradient in gradients:
        one.apply([gradient], [ours])
        other.apply([gradient], [theirs])
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=1e-6)
    assert gssl.AdamW.from_config(one.get_config()).get_config() == one.get_config()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beta_1": 1.0}, "beta_1 must be at least 0 and below 1"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0"),
    ],
)
def test_mistakes_in_adamw_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        gssl.AdamW(**arguments)
