"""Temperature, class mixes and thresholds against independent NumPy and SciPy computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from keras_gssl.errors import UserError
from keras_gssl.probabilities import (
    Adjustment,
    fit_temperature,
    precision_thresholds,
    prior_offsets,
    rarity_offsets,
    threshold_for,
)


def drawn(count=4000, classes=5, seed=0):
    """Logits, and labels drawn with the probabilities that they stand for."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, classes)) * 2
    labels = (softmax(logits, axis=1).cumsum(axis=1) > random.uniform(size=(count, 1))).argmax(axis=1)
    return labels, logits


@pytest.mark.parametrize("wrong_by", [0.25, 1.0, 3.0, 12.0])
def test_the_temperature_undoes_what_was_done_to_the_logits(wrong_by):
    labels, logits = drawn()
    assert fit_temperature(labels, wrong_by * logits) == pytest.approx(wrong_by, rel=0.06)


def test_no_temperature_on_a_grid_fits_better():
    labels, logits = drawn(300, seed=3)
    logits *= 4

    def loss(temperature):
        return -log_softmax(logits / temperature, axis=1)[np.arange(len(labels)), labels].mean()

    assert loss(fit_temperature(labels, logits)) <= min(loss(t) for t in np.geomspace(0.1, 40, 400)) + 1e-9


def test_offsets_give_bayes_rule():
    """Posteriors of one class mix, adjusted, are the posteriors of the other."""
    random = np.random.default_rng(0)
    likelihood = random.uniform(0.1, 1, (50, 4))
    old, new = np.array([0.7, 0.2, 0.06, 0.04]), np.array([1.0, 1.0, 2.0, 4.0])
    posterior = likelihood * old / (likelihood * old).sum(axis=1, keepdims=True)
    wanted = likelihood * new / (likelihood * new).sum(axis=1, keepdims=True)
    adjusted = Adjustment(1.0, prior_offsets(old, new)).of(np.log(posterior))
    np.testing.assert_allclose(softmax(adjusted, axis=1), wanted, rtol=1e-9)
    assert prior_offsets(old, 3 * old) == pytest.approx([0, 0, 0, 0], abs=1e-12)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([1, 2], "needs a number for each of the 3 classes, received 2"),
        ([1, 0, 1], "must be above 0, received 0"),
        ([1, float("nan"), 1], "must be above 0"),
        ([1, float("inf"), 1], "must be above 0"),
    ],
)
def test_mixes_that_are_none_are_named(wanted, message):
    with pytest.raises(UserError, match=message):
        prior_offsets([0.5, 0.3, 0.2], wanted)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(5, 200))
def test_thresholds_keep_what_they_promise(seed, count):
    labels, logits = drawn(count, 3, seed)
    probabilities = softmax(logits, axis=1)
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    for wished, threshold in precision_thresholds(labels, logits).items():
        precisions = {each: hits[confidence >= each].mean() for each in confidence}
        enough = [each for each, precision in precisions.items() if precision >= float(wished) - 1e-12]
        if threshold is None:
            assert not enough
        else:
            assert precisions[threshold] >= float(wished) - 1e-12
            assert threshold <= min(enough) + 1e-12


def test_thresholds_for_another_mix_weigh_the_classes():
    labels = np.array([0] * 90 + [1] * 10)
    logits = np.zeros((100, 2))
    logits[:, 0] = 2.0  # always class 0: right in 90 % of these, in half where both are as frequent
    found, even = precision_thresholds(labels, logits), precision_thresholds(labels, logits, [0.5, 0.5])
    assert found["0.90"] is not None and found["0.91"] is None
    assert even["0.50"] is not None and even["0.51"] is None


def test_a_precision_is_looked_up():
    thresholds = {"0.90": 0.4, "0.91": 0.5, "0.99": None}
    assert threshold_for(thresholds, 0.9) == 0.4
    assert threshold_for(thresholds, 0.9001) == 0.5
    with pytest.raises(UserError, match="A precision of 0.99 was not reached on the validation pictures"):
        threshold_for(thresholds, 0.985)
    for wrong in (1.0, 0.2, float("nan")):
        with pytest.raises(UserError, match="a number from 0.5 to 0.99"):
            threshold_for(thresholds, wrong)


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=8), st.floats(-1, 1))
def test_rarity_offsets_multiply_probabilities_by_a_power_of_the_shares(counts, strength):
    logits = np.random.default_rng(0).normal(size=(3, len(counts)))
    weighed = softmax(logits, axis=1) * np.array(counts, float) ** -strength
    adjusted = Adjustment(offsets=rarity_offsets(counts, strength)).of(logits)
    np.testing.assert_allclose(softmax(adjusted, axis=1), weighed / weighed.sum(axis=1, keepdims=True), atol=1e-9)
    with pytest.raises(UserError, match="must be a number, received nan"):
        rarity_offsets(counts, float("nan"))
