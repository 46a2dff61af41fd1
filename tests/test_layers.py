"""Cosine head, batch norm and shortcut against golden values, stock Keras and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl


def test_cosine_head_equals_golden(golden):
    values = golden["normed_linear"]
    head = gssl.CosineHead(10)
    features = np.array(values["f"], "float32")
    head.build(features.shape)
    head.set_weights([np.array(values["W"], "float32")])
    np.testing.assert_allclose(head(features), values["out"], rtol=1e-5, atol=1e-6)


def test_cosine_head_starts_with_unit_columns_and_survives_zero_features():
    head = gssl.CosineHead(5)
    out = head(np.zeros((2, 8), "float32"))
    np.testing.assert_allclose(np.linalg.norm(head.kernel.numpy(), axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(out, 0)


def test_batch_norm_equals_golden(golden):
    values = golden["batchnorm_pytorch"]
    images = np.random.RandomState(5).standard_normal((4, 2, 3, 3)).astype("float32").transpose(0, 2, 3, 1)
    layer = gssl.FusedBatchNormalization(momentum=values["momentum_keras_equiv"], epsilon=values["eps"])
    out = layer(images, training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), values["running_mean_after_1"], rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), values["running_var_after_1_unbiased"], rtol=1e-5)
    np.testing.assert_allclose(np.abs(out).sum(), values["y_sum_abs"], rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_batch_norm_equals_stock_keras(dtype):
    images = np.random.default_rng(0).normal(1, 2, (8, 4, 4, 3)).astype("float32")
    fused, stock = gssl.FusedBatchNormalization(dtype=dtype), keras.layers.BatchNormalization(dtype=dtype)
    fused.build(images.shape)
    stock.build(images.shape)
    weights = [np.random.default_rng(i).uniform(0.5, 2, 3).astype("float32") for i in range(4)]
    fused.set_weights(weights)
    stock.set_weights(weights)
    tolerance = 1e-5 if dtype == "float32" else 3e-2
    for training in (False, True):
        expected = tf.cast(stock(images, training=training), tf.float32)
        got = fused(images, training=training)
        assert got.dtype == stock.compute_dtype
        np.testing.assert_allclose(tf.cast(got, tf.float32), expected, rtol=tolerance, atol=tolerance)
    assert [weight.shape for weight in fused.weights] == [weight.shape for weight in stock.weights]


def test_frozen_batch_norm_does_not_learn_statistics():
    layer = gssl.FusedBatchNormalization()
    layer.build((None, 4, 4, 3))
    layer.trainable = False
    layer(np.full((2, 4, 4, 3), 7, "float32"), training=True)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), 0)


def test_shortcut_takes_every_second_pixel_and_pads_channels():
    images = np.arange(2 * 4 * 4 * 2, dtype="float32").reshape(2, 4, 4, 2)
    out = gssl.OptionAShortcut(4)(images).numpy()
    np.testing.assert_array_equal(out[..., 1:3], images[:, ::2, ::2])
    assert not out[..., [0, 3]].any()


def test_initial_values_are_the_references():
    kernel = gssl.layers.he_normal()((3, 3, 64, 256)).numpy()
    assert abs(kernel.std() / np.sqrt(2 / (9 * 64)) - 1) < 0.02
    assert np.abs(kernel).max() > 3.5 * kernel.std()  # not truncated
    head = gssl.layers.dense_head(1000, 64, "head")
    head.build((None, 64))
    assert 0.9 / 8 < np.abs(head.bias.numpy()).max() <= 1 / 8


@pytest.mark.parametrize("option", [{"synchronized": True}, {"renorm": True}, {"scale": False}])
def test_fused_batch_norm_leaves_to_keras_what_the_kernel_cannot(option):
    if "renorm" in option and not hasattr(keras.layers.BatchNormalization(), "renorm"):
        pytest.skip("this Keras has no renorm")
    fused, stock = gssl.FusedBatchNormalization(**option), keras.layers.BatchNormalization(**option)
    images = np.random.default_rng(0).normal(2, 3, (6, 4, 4, 3)).astype("float32")
    for _ in range(2):
        np.testing.assert_allclose(fused(images, training=True), stock(images, training=True), atol=1e-5)
    for one, other in zip(fused.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
