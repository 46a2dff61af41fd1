"""Pictures of three classes for the tests of `fit`."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def pixels():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [20, 12, 8])
    tint = np.eye(3)[labels][:, None, None, :] * 100
    return (random.uniform(0, 155, (40, 16, 16, 3)) + tint).astype("uint8"), labels
