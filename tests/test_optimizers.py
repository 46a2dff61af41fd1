"""The rules against golden values, NumPy and Keras' own."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

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


def _orthogonalized(kernel):
    """Muon's iteration on singular values, where it is a polynomial of each of them."""
    left, values, right = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).astype("float64"), full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return (left * values @ right).reshape(kernel.shape)


@pytest.mark.parametrize("shape", [(3, 3, 4, 8), (1, 1, 3, 8), (2, 2, 2, 8)], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_equals_numpy(shape, nesterov):
    random = np.random.default_rng(0)
    kernel = random.normal(size=shape)
    variable = keras.Variable(kernel.astype("float32"))
    optimizer = gssl.Muon(0.1, momentum=0.8, weight_decay=0.5, nesterov=nesterov, kernel_rate=0.3)
    velocity = np.zeros(shape)
    for gradient in random.normal(size=(3, *shape)):
        optimizer.apply([gradient.astype("float32")], [variable])
        velocity = 0.8 * velocity + gradient
        step = _orthogonalized(gradient + 0.8 * velocity if nesterov else velocity)
        length = np.linalg.norm(kernel)
        kernel = kernel - 0.1 * 0.3 * length * step / np.linalg.norm(step)
        kernel *= length / np.linalg.norm(kernel)
        np.testing.assert_allclose(variable, kernel, rtol=2e-3, atol=2e-4)
    assert gssl.Muon.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


def test_muon_moves_kernels_together_as_it_does_one_by_one():
    """Stacks of one shape, slower steps for a part, more than one shape, and one that is too large for a stack."""
    random = np.random.default_rng(0)
    shapes = [(3, 3, 4, 8)] * 3 + [(1, 1, 36, 8), (3, 3, 30, 258), (1, 1, 4, 8), (8,)]
    start = [random.normal(size=shape).astype("float32") for shape in shapes]
    steps = [[random.normal(size=shape).astype("float32") for shape in shapes] for _ in range(3)]
    together, alone = ([keras.Variable(value) for value in start] for _ in range(2))
    optimizer = gssl.Muon(0.1)
    optimizer.slow_down(together[1:2], 0.5)
    for gradients in steps:
        optimizer.apply(gradients, together)
    for at, variable in enumerate(alone):
        by_itself = gssl.Muon(0.05 if at == 1 else 0.1)
        for gradients in steps:
            by_itself.apply([gradients[at]], [variable])
        np.testing.assert_allclose(together[at], variable, rtol=1e-4, atol=1e-6)
        assert np.abs(together[at] - start[at]).max() > 1e-3


@given(arrays("float32", (3, 3, 2, 4), elements=st.floats(-1e3, 1e3, width=32)), st.floats(1e-3, 1.0))
@settings(max_examples=30, deadline=None)
def test_muon_keeps_the_length_of_a_kernel(gradient, rate):
    """Whatever the gradient is, zero included, and moves it by no more than the rate."""
    variable = keras.Variable(np.random.default_rng(1).normal(size=(3, 3, 2, 4)).astype("float32"))
    before = variable.numpy()
    gssl.Muon(rate, kernel_rate=0.5).apply([gradient], [variable])
    length = np.linalg.norm(before)
    assert np.linalg.norm(variable) == pytest.approx(length, rel=1e-4)
    assert np.linalg.norm(variable.numpy() - before) <= 0.51 * rate * length + 1e-4


@pytest.mark.parametrize("shape", [(4,), (4, 3), (3, 3, 4, 1), (3, 3, 1, 4)], ids=["bias", "head", "depth", "groups"])
def test_muon_is_sgd_for_all_but_kernels(shape):
    random = np.random.default_rng(0)
    start, gradient = random.normal(size=(2, *shape)).astype("float32")
    ours, theirs = keras.Variable(start), keras.Variable(start)
    gssl.Muon(0.1, weight_decay=0.1).apply([gradient], [ours])
    gssl.SGD(0.1, weight_decay=0.1, nesterov=True).apply([gradient], [theirs])
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("spectrum", [1 / np.arange(1, 17.0) ** 2, np.logspace(0, -6, 16)], ids=["squares", "powers"])
def test_muon_bears_gradients_of_few_directions_and_any_size(spectrum, scale):
    random = np.random.default_rng(0)
    left, _ = np.linalg.qr(random.normal(size=(36, 16)))
    right, _ = np.linalg.qr(random.normal(size=(16, 16)))
    gradient = (left * spectrum @ right).reshape(3, 3, 4, 16)
    start = random.normal(size=gradient.shape).astype("float32")
    variable = keras.Variable(start)
    gssl.Muon(0.1, kernel_rate=0.5).apply([(scale * gradient).astype("float32")], [variable])
    step, length = _orthogonalized(gradient), np.linalg.norm(start)
    expected = start - 0.05 * length * step / np.linalg.norm(step)
    np.testing.assert_allclose(variable, expected * length / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("scale", [1e-4, 1e3])
def test_muon_moves_kernels_of_half_precision(dtype, scale):
    random = np.random.default_rng(0)
    start, gradient = random.normal(size=(2, 3, 3, 64, 64)).astype("float32")
    half, full = keras.Variable(start, dtype=dtype), keras.Variable(start)
    for variable in (half, full):
        gssl.Muon(0.1).apply([keras.ops.cast(scale * gradient, variable.dtype)], [variable])
    np.testing.assert_allclose(keras.ops.cast(half, "float32"), full, atol=0.02)
    assert np.linalg.norm(keras.ops.cast(half, "float32") - start) > 0.015 * np.linalg.norm(start)


def test_muon_moves_a_kernel_of_zeros():
    variable = keras.Variable(np.zeros((3, 3, 2, 4), "float32"))
    optimizer = gssl.Muon(0.1, kernel_rate=0.5)
    for _ in range(3):
        optimizer.apply([np.random.default_rng(0).normal(size=variable.shape).astype("float32")], [variable])
    assert np.linalg.norm(variable) == pytest.approx(0.05, rel=1e-4)


def test_mistakes_in_muon_are_named():
    with pytest.raises(ValueError, match="kernel_rate must be above 0, received 0"):
        gssl.Muon(kernel_rate=0)
    with pytest.raises(ValueError, match="momentum above 0"):
        gssl.Muon(momentum=0)
