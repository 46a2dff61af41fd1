"""Gates against golden values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.gating import make_gate


def gate_with_identity(gate, logits):
    """The gate with weights such that its logits are its input."""
    gate.build(logits.shape)
    gate.set_weights([np.eye(logits.shape[1], dtype="float32"), np.zeros(logits.shape[1], "float32")])
    return gate(logits)


def test_frozen_gate_is_softmax_of_mean_without_gradient(golden):
    logits = tf.constant(golden["gate"]["logits"], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        weights = gate_with_identity(gssl.FrozenGate(3), logits)
    expected = golden["gate"]["softmax_of_mean__imbalanced_and_dec2022_tiny"]
    np.testing.assert_allclose(weights, np.repeat([expected], 6, axis=0), rtol=1e-5)
    assert tape.gradient(weights, logits) is None


def test_learned_gate_is_softmax_per_image(golden):
    logits = tf.constant(golden["gate"]["logits"], tf.float32)
    weights = gate_with_identity(gssl.LearnedGate(3), logits).numpy()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    expected = golden["gate"]["mean_of_softmax__released_tiny_and_adversarial"]
    np.testing.assert_allclose(weights.mean(axis=0), expected, rtol=1e-5)


def test_no_gate_is_one_and_has_no_weights():
    gate = gssl.NoGate(3)
    np.testing.assert_array_equal(gate(np.zeros((2, 5), "float32")), np.ones((2, 3)))
    assert not gate.weights


def test_one_task_needs_no_gate():
    assert isinstance(make_gate("learned", 1), gssl.NoGate)


@pytest.mark.parametrize("gating", ["frozen", "learned", "none"])
def test_round_trip(gating):
    gate = make_gate(gating, 3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(gate))
    assert type(again) is type(gate) and again.num_tasks == 3


def test_unknown_gate_is_named():
    with pytest.raises(ValueError, match="'frozen', 'learned', 'none'; received 'soft'"):
        make_gate("soft", 2)
