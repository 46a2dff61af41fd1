"""tf.data traces this package's functions as they are written, and converts those of others."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.autograph.impl import conversion

import keras_gssl as gssl
from keras_gssl.data.pipeline import CLASS_KEY


class Darker(gssl.PretextTask):
    """Takes an eighth of every value away, by a loop over a tensor, which only AutoGraph understands."""

    num_choices = 2

    def transform(self, patches, choices):
        shares = tf.cast(choices, patches.dtype)
        for _ in tf.range(3):
            if tf.reduce_all(choices >= 0):
                shares = shares / 2
        return patches * (1 - shares[:, tf.newaxis, tf.newaxis, tf.newaxis])


@pytest.fixture
def converted(monkeypatch):
    """Functions that AutoGraph converts."""
    names = []
    kept = conversion.is_unsupported

    def asked(function):
        names.append(getattr(function, "__qualname__", str(function)))
        return kept(function)

    monkeypatch.setattr(conversion, "is_unsupported", asked)
    return names


def test_batches_of_this_package_are_not_converted(small_data, tasks, converted):
    mixing = gssl.CutMix(share=0.5, balanced=True)
    next(iter(small_data.train(8, tasks=tasks, mixing=mixing, augmentations=[gssl.AutoAugment(), gssl.Cutout(4)])))
    next(iter(small_data.test()))
    assert not converted


def test_a_task_of_ones_own_may_loop_over_tensors(small_data, converted):
    images, labels = next(iter(small_data.train(8, tasks=[Darker()])))
    assert set(labels) == {CLASS_KEY, "darker"} and np.isfinite(images).all()
    assert any("Darker" in name for name in converted)
    plain = tf.data.Dataset.from_tensor_slices((tf.ones((8, 16, 16, 3)), tf.range(8) % 2)).batch(8)
    images, labels = next(iter(gssl.data.with_pretext(plain, [Darker()])))
    darkest = images.numpy().min(axis=(1, 2, 3))
    np.testing.assert_allclose(darkest, np.where(labels["darker"] == 1, 1 - 1 / 8, 1))
