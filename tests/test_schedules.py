"""Learning rates that end at zero, against NumPy and in `fit`."""

import keras
import numpy as np
import pytest

import keras_gssl as gssl


def numpy_rate(step, rate, steps, warmup, shape):
    if step < warmup:
        return rate * (step + 1) / warmup
    done = min(1.0, (step - warmup) / (steps - warmup))
    return rate * ((1 - done) if shape == "linear" else (1 + np.cos(np.pi * done)) / 2)


@pytest.mark.parametrize("shape", ["linear", "cosine"])
@pytest.mark.parametrize("warmup", [0, 7])
def test_to_zero_equals_numpy(shape, warmup):
    schedule = gssl.ToZero(0.3, 50, warmup, shape)
    wanted = [numpy_rate(step, 0.3, 50, warmup, shape) for step in range(60)]
    np.testing.assert_allclose([float(schedule(step)) for step in range(60)], wanted, rtol=1e-5, atol=1e-7)


def test_in_turn_starts_each_schedule_anew():
    schedule = gssl.InTurn([gssl.ToZero(0.3, 10), gssl.ToZero(0.2, 5, shape="cosine")], [10, 5])
    wanted = [*(numpy_rate(step, 0.3, 10, 0, "linear") for step in range(10))]
    wanted += [numpy_rate(step, 0.2, 5, 0, "cosine") for step in range(8)]
    np.testing.assert_allclose([float(schedule(step)) for step in range(18)], wanted, rtol=1e-5, atol=1e-7)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert float(again(12)) == float(schedule(12))


def test_a_schedule_in_fit_ends_at_zero(small_data, make_model):
    batches = small_data.train(25)
    optimizer = gssl.SGD(gssl.ToZero(0.05, steps=2 * len(batches), warmup_steps=1), nesterov=True)
    model = make_model({"optimizer": optimizer})
    model.fit(batches, epochs=2, verbose=0)
    assert float(model.optimizer.learning_rate) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gssl.ToZero(0.1, 5, 5), "warmup_steps must be below steps"),
        (lambda: gssl.ToZero(0.1, 5, shape="step"), "shape must be one of"),
        (lambda: gssl.ToZero(0, 5), "learning_rate must be above 0"),
        (lambda: gssl.InTurn([], []), "its number of steps"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
