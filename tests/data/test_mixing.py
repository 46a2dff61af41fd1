"""mixup and CutMix against NumPy, and through the pipeline and the class loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_gssl as gssl
from keras_gssl.data.mixing import Partners

BATCH = 400


@pytest.fixture(scope="module")
def both():
    random = np.random.default_rng(0)
    return random.normal(size=(2, BATCH, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_mixup_is_the_weighted_mean_with_shares_from_beta(both, alpha):
    mixed, shares = gssl.MixUp(alpha)(*both, [1, 2])
    wanted = shares.numpy()[:, None, None, None] * both[0] + (1 - shares.numpy())[:, None, None, None] * both[1]
    np.testing.assert_allclose(mixed, wanted, atol=1e-6)
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(shares.numpy().mean() - 0.5) < 4 * np.sqrt(variance / BATCH)
    assert shares.numpy().var() == pytest.approx(variance, rel=0.25)


def test_cutmix_pastes_a_rectangle_and_counts_its_area(both):
    mixed, shares = gssl.CutMix()(np.zeros_like(both[0]), np.ones_like(both[0]), [3, 4])
    mixed = mixed.numpy()[..., 0]
    np.testing.assert_allclose(1 - shares.numpy(), mixed.mean((1, 2)), atol=1e-6)
    for image in mixed:  # what is pasted is one rectangle
        rows, columns = image.any(1), image.any(0)
        np.testing.assert_array_equal(image, np.outer(rows, columns))
        assert np.abs(np.diff(np.flatnonzero(rows))).max(initial=1) == 1


@given(seed=st.integers(0, 2**31), kind=st.sampled_from([gssl.MixUp, gssl.CutMix]))
@settings(max_examples=10, deadline=None)
def test_mixing_is_a_pure_function_of_the_seed(seed, kind):
    images = np.random.default_rng(seed).random((2, 4, 6, 6, 1)).astype("float32")
    (first, one), (second, two) = kind()(*images, [seed, 0]), kind()(*images, [seed, 0])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(one, two)


def test_share_and_last_epoch(both):
    mixing = gssl.CutMix(share=0.3, until_epoch=5)
    _, shares = mixing(*both, [1, 2], epoch=4)
    assert 0.2 < (shares.numpy() < 1).mean() <= 0.36
    same, shares = mixing(*both, [1, 2], epoch=5)
    assert (shares.numpy() == 1).all()
    np.testing.assert_array_equal(same, both[0])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(mixing))
    assert again.get_config() == mixing.get_config()


def test_xla_mixes_alike(both):
    plain, compiled = gssl.CutMix(), tf.function(gssl.CutMix(), jit_compile=True)
    for one, two in zip(plain(*both, tf.constant([1, 2])), compiled(*both, tf.constant([1, 2])), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-6)


def test_partners_are_drawn_from_all_images_or_from_classes_alike():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    drawn = labels[Partners(labels, balanced=True)(tf.constant(6000), tf.constant([1, 0]))]
    np.testing.assert_allclose(np.bincount(drawn) / 6000, 1 / 3, atol=0.03)
    drawn = labels[Partners(labels, balanced=False)(tf.constant(6000), tf.constant([1, 0]))]
    np.testing.assert_allclose(np.bincount(drawn) / 6000, [0.9, 0.09, 0.01], atol=0.02)


def test_mixed_batches_know_both_classes(small_data):
    data = small_data.train(50, seed=1, mixing=gssl.MixUp(balanced=True))
    images, labels = next(iter(data))
    assert set(labels) == {"class", "mixed_class", "own_share"}
    assert len(images) == len(labels["mixed_class"]) == 50
    # Red, green and blue pictures: the tint of a mixed one is that of its classes, by their shares.
    shares = labels["own_share"].numpy()[:, None]
    wanted = shares * np.eye(3)[labels["class"]] + (1 - shares) * np.eye(3)[labels["mixed_class"]]
    tints = images.numpy().mean((1, 2))
    assert np.corrcoef(tints.ravel(), wanted.ravel())[0, 1] > 0.75


@pytest.mark.parametrize("loss", ["ldam", "balanced", "ce"])
def test_the_class_loss_of_mixed_images_equals_numpy(small_data, make_model, loss):
    counts = small_data.class_counts
    losses = {
        "ldam": gssl.LDAMLoss(counts),
        "balanced": gssl.LogitAdjustedLoss(counts),
        "ce": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    model = make_model({"loss": losses[loss]}, heads="cosine" if loss == "ldam" else "dense")
    model.class_weights.assign([0.5, 1.0, 1.5])
    random = np.random.default_rng(0)
    outputs = random.uniform(-1, 1, (6, 3)).astype("float32")
    one, two, shares = random.integers(0, 3, 6), random.integers(0, 3, 6), random.random(6).astype("float32")
    labels = {"class": tf.constant(one), "mixed_class": tf.constant(two), "own_share": tf.constant(shares)}
    found = model.weighted_class_loss(np.zeros((6, 1)), labels, tf.constant(outputs), None)
    weights = np.concatenate([shares, 1 - shares]) * np.array([0.5, 1.0, 1.5])[np.concatenate([one, two])]
    each = keras.ops.convert_to_numpy(losses[loss].call(np.concatenate([one, two]), np.concatenate([outputs, outputs])))
    assert float(found) == pytest.approx((weights * each).sum() / _total(loss, weights, one, two), rel=1e-4)


def _total(loss, weights, one, two):
    if loss == "ce":  # Keras divides by the batch size; the class weights have mean 1 over the batch
        return np.array([0.5, 1.0, 1.5])[np.concatenate([one, two])].sum() / 2
    return weights.sum()


def test_fit_on_mixed_images(small_data, make_model, tasks):
    model = make_model(tasks=tasks)
    history = model.fit(small_data.train(25, tasks, mixing=gssl.CutMix(share=0.5, balanced=True)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("make", "message"), [(lambda: gssl.MixUp(0), "alpha must be"), (lambda: gssl.CutMix(share=2), "share must be")]
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
