"""Intervals of accuracies hold the truth as often as they say."""

import numpy as np
import pytest
from scipy import stats

from keras_gssl.intervals import bootstrap_intervals, wilson_interval


def test_the_bootstrap_equals_drawing_pictures_again():
    tested, hits = np.array([50, 30, 8, 0]), np.array([40, 15, 6, 0])
    found = bootstrap_intervals(hits, tested)
    random = np.random.default_rng(1)
    right = [np.arange(count) < good for count, good in zip(tested, hits, strict=True)]
    draws = np.array(
        [[random.choice(each, len(each)).sum() for each in right[:3]] for _ in range(4000)]
    )  # picture by picture
    for name, values in (
        ("accuracy", draws.sum(axis=1) / 88),
        ("balanced_accuracy", (draws / tested[:3]).mean(axis=1)),
    ):
        np.testing.assert_allclose(found[name], np.quantile(values, [0.025, 0.975]), atol=0.012)


def test_nineteen_of_twenty_intervals_hold_the_truth():
    random = np.random.default_rng(0)
    truth, tested = np.array([0.9, 0.6, 0.4]), np.array([200, 80, 40])
    held = 0
    for seed in range(200):
        low, high = bootstrap_intervals(random.binomial(tested, truth), tested, seed=seed)["balanced_accuracy"]
        held += low <= truth.mean() <= high
    assert 178 <= held <= 198


@pytest.mark.parametrize(("hits", "tested"), [(0, 3), (3, 3), (7, 10), (50, 100)])
def test_wilsons_interval_solves_its_equation(hits, tested):
    z, share = stats.norm.ppf(0.975), hits / tested
    for bound in wilson_interval(hits, tested):
        if 1e-9 < bound < 1 - 1e-9:
            assert abs(share - bound) == pytest.approx(z * np.sqrt(bound * (1 - bound) / tested), rel=1e-6)
    low, high = wilson_interval(hits, tested)
    assert low <= share <= high and high - low > 0.05
