"""LDAM and class-balanced weights against golden values and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl


@pytest.mark.parametrize("key", ["cifar10_0.01", "cifar10_0.05", "cifar10_1.0", "cifar100_0.01", "cifar100_0.1"])
def test_margins_and_weights(golden, key):
    values = golden["long_tail"][key]
    np.testing.assert_allclose(gssl.ldam_margins(values["counts"]), values["margins"], rtol=1e-12)
    np.testing.assert_allclose(gssl.class_balanced_weights(values["counts"]), values["drw_weights"], rtol=1e-9)


def test_ldam_equals_golden(golden):
    values = golden["ldam"]
    logits, targets = np.array(values["logits"], "float32"), np.array(values["targets"])
    loss = gssl.LDAMLoss(values["counts"])
    np.testing.assert_allclose(loss.call(targets, tf.constant(logits)), values["per_sample"], rtol=1e-5)
    np.testing.assert_allclose(loss(targets, logits), values["loss_unweighted"], rtol=1e-5)
    weights = gssl.class_balanced_weights(values["counts"])[targets]
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        weighted = loss(targets, variable, sample_weight=weights)
    np.testing.assert_allclose(weighted, values["loss_drw"], rtol=1e-5)
    np.testing.assert_allclose(tape.gradient(weighted, variable), values["grad_logits_drw"], rtol=1e-3, atol=1e-5)


def test_ldam_on_100_classes(golden):
    values, counts = golden["ldam_cifar100"], golden["long_tail"]["cifar100_0.01"]["counts"]
    loss, targets = gssl.LDAMLoss(counts), np.array(values["targets"])
    logits = np.array(values["logits"], "float32")
    np.testing.assert_allclose(loss(targets, logits), values["loss_unweighted"], rtol=1e-5)
    weights = gssl.class_balanced_weights(counts)[targets]
    np.testing.assert_allclose(loss(targets, logits, sample_weight=weights), values["loss_drw"], rtol=1e-5)


def test_ldam_takes_float_labels_as_keras_passes_them():
    loss, logits = gssl.LDAMLoss([9, 3]), np.array([[0.1, 0.4]], "float32")
    assert float(loss(np.array([[1.0]], "float32"), logits)) == float(loss(np.array([1]), logits))


def test_ldam_round_trip():
    loss = gssl.LDAMLoss([9, 3], max_margin=0.3, scale=10)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gssl.LDAMLoss([5, 0]), "Class 1 has 0 training images"),
        (lambda: gssl.LDAMLoss([5]), "at least 2 classes"),
        (lambda: gssl.class_balanced_weights([5, 2], beta=1.0), "beta must be at least 0 and below 1"),
        (lambda: gssl.LDAMLoss([5, 2])(np.array([0]), np.zeros((1, 3))), "made for 2 classes"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_counts_and_labels_as_people_have_them(golden):
    by_name = gssl.LDAMLoss({1: 50, 0: 5000})
    assert by_name.class_counts == [5000, 50]
    cosines = np.array([[0.2, 0.9], [0.1, 0.3]], "float32")
    by_number = by_name(np.array([1, 0]), cosines)
    np.testing.assert_allclose(by_name(np.eye(2)[[1, 0]], cosines), by_number)
    np.testing.assert_allclose(by_name(np.array([[1], [0]]), cosines), by_number)
    with pytest.raises(ValueError, match="labels 0 to 1 as keys"):
        gssl.LDAMLoss({"cat": 3, "dog": 4})
    np.testing.assert_allclose(gssl.class_balanced_weights({0: 9, 1: 1}), gssl.class_balanced_weights([9, 1]))
    split = gssl.LDAMLoss([9, 4], scale=20).with_classes_split(2)
    assert split.class_counts == [9, 9, 4, 4] and split.scale == 20


def numpy_adjusted(counts, temperature, scale, margin, labels, outputs):
    """Shares of classes in `labels`, shape (batch, classes)."""
    counts = np.asarray(counts, "float64")
    logits = scale * (np.asarray(outputs, "float64") - margin * labels) + temperature * np.log(counts / counts.sum())
    return -(labels * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1)


@pytest.mark.parametrize(
    ("temperature", "scale", "margin"),
    [(1.0, None, 0.0), (0.5, None, 0.0), (0.0, None, 0.0), (1.5, 30.0, 0.0), (1.0, 30.0, 0.2)],
)
def test_logit_adjusted_loss_equals_numpy(temperature, scale, margin):
    random = np.random.default_rng(0)
    counts, outputs, classes = [500, 40, 3], random.normal(size=(20, 3)).astype("float32"), random.integers(0, 3, 20)
    loss = gssl.LogitAdjustedLoss(counts, temperature, scale, margin)
    wanted = numpy_adjusted(counts, temperature, scale or 1.0, margin, np.eye(3)[classes], outputs)
    np.testing.assert_allclose(loss.call(classes, outputs), wanted, rtol=2e-5, atol=1e-5)
    shares = random.dirichlet(np.ones(3), 20)
    wanted = numpy_adjusted(counts, temperature, scale or 1.0, margin, shares, outputs)
    np.testing.assert_allclose(loss.call(tf.constant(shares, tf.float32), outputs), wanted, rtol=2e-5, atol=1e-5)
    weights = random.random(20)
    wanted = (weights * numpy_adjusted(counts, temperature, scale or 1.0, margin, np.eye(3)[classes], outputs)).sum()
    np.testing.assert_allclose(loss(classes, outputs, sample_weight=weights), wanted / weights.sum(), rtol=2e-5)


def test_logit_adjusted_loss_says_which_heads_it_goes_with():
    assert gssl.LogitAdjustedLoss([5, 2]).heads == "dense"
    cosine = gssl.LogitAdjustedLoss([5, 2], scale=20, margin=0.2)
    assert cosine.heads == "cosine"
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cosine))
    assert again.get_config() == cosine.get_config()
    assert cosine.with_classes_split(2).class_counts == [5, 5, 2, 2]
    for wrong in ({"temperature": -1}, {"temperature": float("nan")}, {"scale": 0}, {"margin": -1}, {"margin": 0.2}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            gssl.LogitAdjustedLoss([5, 2], **wrong)
    with pytest.raises(ValueError, match="made for 2 classes"):
        cosine(np.array([0]), np.zeros((1, 3)))
