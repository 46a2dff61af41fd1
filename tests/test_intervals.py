"""Intervals of accuracies hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from keras_gssl.intervals import accuracy_intervals, wilson_interval


def test_with_many_pictures_they_equal_drawing_pictures_again():
    tested, hits = np.array([500, 300, 80, 0]), np.array([400, 150, 60, 0])
    found = accuracy_intervals(hits, tested)
    drawn = np.random.default_rng(1).binomial(tested[:3], hits[:3] / tested[:3], (4000, 3))
    for name, values in (
        ("accuracy", drawn.sum(axis=1) / 880),
        ("balanced_accuracy", (drawn / tested[:3]).mean(axis=1)),
    ):
        np.testing.assert_allclose(found[name], np.quantile(values, [0.025, 0.975]), atol=0.006)


@pytest.mark.parametrize("truth", [(0.9, 0.6, 0.4), (1.0, 0.99, 0.97), (0.99, 0.5, 0.02)])
@pytest.mark.parametrize(("tested", "least"), [((200, 80, 40), 930), ((50, 8, 3), 840)])
def test_nineteen_of_twenty_intervals_hold_the_truth(truth, tested, least):
    random, truth, tested = np.random.default_rng(0), np.array(truth), np.array(tested)
    wanted = {"accuracy": truth @ tested / tested.sum(), "balanced_accuracy": truth.mean()}
    held = dict.fromkeys(wanted, 0)
    for _ in range(1000):
        for name, (low, high) in accuracy_intervals(random.binomial(tested, truth), tested).items():
            held[name] += low <= wanted[name] <= high
    assert min(held.values()) >= least, held


@pytest.mark.parametrize(("hits", "tested"), [([0, 3, 0], [77, 10, 20]), ([2] * 50, [2] * 50), ([0, 0], [1, 1])])
def test_nothing_is_certain_and_what_was_measured_is_within(hits, tested):
    hits, tested = np.array(hits), np.array(tested)
    for (low, high), share in zip(
        accuracy_intervals(hits, tested).values(), (hits.sum() / tested.sum(), (hits / tested).mean()), strict=True
    ):
        assert low <= share <= high and high - low > 0.02


def test_one_class_has_wilsons_interval():
    for found in accuracy_intervals(np.array([7]), np.array([10])).values():
        np.testing.assert_allclose(found, wilson_interval(7, 10))


@pytest.mark.parametrize(("hits", "tested"), [(0, 3), (3, 3), (7, 10), (50, 100)])
def test_wilsons_interval_solves_its_equation(hits, tested):
    z, share = stats.norm.ppf(0.975), hits / tested
    for bound in wilson_interval(hits, tested):
        if 1e-9 < bound < 1 - 1e-9:
            assert abs(share - bound) == pytest.approx(z * np.sqrt(bound * (1 - bound) / tested), rel=1e-6)
    low, high = wilson_interval(hits, tested)
    assert low <= share <= high and high - low > 0.05
