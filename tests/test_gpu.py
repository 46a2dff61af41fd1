"""What only a GPU can show. Skipped, saying so, where there is none."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.data.augmentations.catalogue import AUGMENTATIONS
from keras_gssl.runs.precision import precision_scope

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not tf.config.list_physical_devices("GPU"), reason="no GPU on this machine"),
]


@pytest.mark.parametrize("optimizer", [gssl.SGD, gssl.Muon])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_trains_with_xla(small_data, tasks, precision, optimizer):
    keras.utils.set_random_seed(0)
    with precision_scope(precision):
        model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, (16, 16, 3)), 3, tasks)
    model.compile(optimizer(0.05), gssl.LDAMLoss(small_data.class_counts), metrics=["accuracy"])
    assert model.jit_compile
    history = model.fit(small_data.train(10, tasks), epochs=15, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.evaluate(small_data.test(), return_dict=True, verbose=0)["accuracy"] > 0.8


@pytest.mark.parametrize("kind", AUGMENTATIONS.values())
def test_compiled_for_it_augmentations_give_what_they_give_on_a_cpu(kind):
    images, seed = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3)).astype("uint8"), tf.constant([2, 3])
    with tf.device("CPU:0"):
        wanted = kind()(images, seed).numpy()
    with tf.device("GPU:0"):
        np.testing.assert_array_equal(tf.function(kind(), jit_compile=True)(images, seed), wanted)
