"""Gates against golden values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.pretext.catalogue import make_gate
from keras_gssl.pretext.gates import gradient_alignment, task_skill


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


@pytest.mark.parametrize("gating", ["frozen", "learned", "rewarded", "none"])
def test_round_trip(gating):
    gate = make_gate(gating, 3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(gate))
    assert type(again) is type(gate) and again.num_tasks == 3


def test_unknown_gate_is_named():
    with pytest.raises(
        ValueError, match="'frozen', 'learned', 'rewarded', 'none', .* or a keras_gssl.Gate object; received 'soft'"
    ):
        make_gate("soft", 2)


def test_rewarded_gate_is_eq_1_and_its_logits_regress_on_the_rewards(golden):
    logits = np.array(golden["gate"]["logits"], "float32")
    features = tf.constant(logits)
    gate = gssl.RewardedGate(3, temperature=0.5)
    rewards = np.random.default_rng(0).uniform(-1, 1, logits.shape)
    with tf.GradientTape() as tape:
        tape.watch(features)
        weights = gate_with_identity(gate, features)
        objective = gate.objective(features, tf.constant(rewards, tf.float32))
    np.testing.assert_allclose(weights, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-5)
    error = logits - rewards / 0.5
    error -= error.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        objective, ((error**2).sum(axis=1) / 2 / (1 + (logits**2).sum(axis=1))).mean(), rtol=1e-4
    )
    assert tape.gradient(objective, features) is None


@pytest.mark.parametrize("length", [0.1, 3.0, 100.0])
def test_rewarded_gate_finds_the_expected_reward_from_saturation(length):
    """Whatever the scale of the features: noisy rewards, weights that start at 0 and 1, the recipes' optimiser."""
    random = np.random.default_rng(0)
    gate, optimizer = gssl.RewardedGate(3), gssl.SGD(0.1, momentum=0.9, weight_decay=2e-4)
    gate.build((None, 8))
    gate.set_weights([random.normal(size=(8, 3)).astype("float32"), np.zeros(3, "float32")])
    expected = np.array([0.6, 0.0, 0.3])

    @tf.function
    def step(features, rewards):
        with tf.GradientTape() as tape:
            objective = gate.objective(features, rewards)
        optimizer.apply(tape.gradient(objective, gate.trainable_variables), gate.trainable_variables)

    optimizer.build(gate.trainable_variables)
    for _ in range(1500):
        features = length * np.abs(random.normal(size=(64, 8))).astype("float32")
        step(tf.constant(features), tf.constant(expected + random.normal(0, 0.4, (64, 3)), tf.float32))
    weights = gate(tf.constant(features)).numpy().mean(axis=0)
    np.testing.assert_allclose(weights, np.exp(expected / 0.5) / np.exp(expected / 0.5).sum(), atol=0.06)


def test_skill_is_0_at_chance_and_1_for_certain():
    losses = np.log([[2.0, 16.0], [1.0, 4.0], [64.0, 1.0]])
    np.testing.assert_allclose(task_skill(losses, [2, 16]), [[0, 0], [1, 0.5], [-1, 1]], atol=1e-6)


def test_alignment_is_the_cosine_of_the_gradients():
    random = np.random.default_rng(1)
    features = tf.constant(random.normal(size=(4, 5)), tf.float32)
    kernels = [random.normal(size=(5, units)).astype("float32") for units in (3, 2, 6)]
    labels = [random.integers(0, units, 4) for units in (3, 2, 6)]
    gradients = []
    for kernel, label in zip(kernels, labels, strict=True):
        logits = features.numpy() @ kernel
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        gradients.append((probabilities - np.eye(kernel.shape[1])[label]) @ kernel.T)
    directions = [gradient / np.linalg.norm(gradient, axis=1, keepdims=True) for gradient in gradients]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        losses = [
            tf.nn.sparse_softmax_cross_entropy_with_logits(label, features @ kernel)
            for kernel, label in zip(kernels, labels, strict=True)
        ]
        class_loss = tf.reduce_mean(losses[0])
    task_gradients = [tape.gradient(loss, features) for loss in losses[1:]]
    alignment = gradient_alignment(tape.gradient(class_loss, features), task_gradients)
    expected = np.stack([(directions[0] * each).sum(axis=1) for each in directions[1:]], axis=1)
    np.testing.assert_allclose(alignment, expected, atol=1e-5)


@keras.saving.register_keras_serializable(package="tests")
class CoinToss(gssl.PretextTask):
    """A label that nothing in the picture tells."""

    num_choices = 4

    def transform(self, patches, choices):
        return patches


def gate_history(gating, seed=0):
    """Gate weights over a short training in which two tasks can be learned and one cannot."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[0:16, 0:16] / 15
    scene = 160 * np.stack([rows, 0.5 * columns + 0.1, 0.3 * (1 - rows)], axis=-1)  # brighter and redder downwards
    labels = np.repeat([0, 1], [400, 100])
    pictures = scene + random.uniform(0, 40, (len(labels), 16, 16, 3)) + 40 * labels[:, None, None, None]
    pictures = pictures.astype("uint8")
    data = gssl.data.from_arrays(pictures, labels, pictures, labels, horizontal_flip=False, crop_padding=1)
    tasks = [gssl.LoRotE(), gssl.ShuffleChannels(), CoinToss()]
    keras.utils.set_random_seed(seed)
    backbone = gssl.backbones.resnet_cifar(8, (16, 16, 3))
    model = gssl.GatedSSLModel(backbone, 2, tasks, ssl_ratio=1.0, gating=gating, heads="dense")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=gssl.SGD(0.05), loss=loss)
    history = model.fit(data.train(32, tasks, seed), epochs=14, verbose=0).history
    return {name: np.array(values) for name, values in history.items()}


def test_rewarded_gate_takes_weight_from_what_cannot_be_learned():
    history = gate_history("rewarded")
    weights = [history[f"gate_{name}"] for name in ("lorot", "channels", "coin_toss")]
    assert weights[2][-1] < 0.6 * min(weights[0][-1], weights[1][-1])
    assert weights[2][-1] < 0.5 * weights[2][0]
    assert weights[2][-1] > 0.02, "no collapse"
    assert history["lorot_accuracy"][-1] > 0.3 and history["channels_accuracy"][-1] > 0.4
    frozen = gate_history("frozen")["gate_coin_toss"]
    assert frozen[-1] > 0.5 * frozen[0], "the frozen gate does not see it"


@keras.saving.register_keras_serializable(package="tests")
class FirstTaskAlone(gssl.Gate):
    """A gate of a user's own, with something to learn and to report."""

    reports = ("doubt",)

    def __init__(self, num_tasks=None, strength=1.0, **options):
        super().__init__(num_tasks, **options)
        self.strength = strength

    def call(self, features):
        return self.strength * tf.one_hot(tf.zeros(tf.shape(features)[0], tf.int32), self.num_tasks)

    def learn(self, evidence):
        assert len(evidence.task_gradients) == 2 and evidence.num_labels == [2, 16]
        return 0.0, {"doubt": evidence.task_losses}

    def get_config(self):
        return {**super().get_config(), "strength": self.strength}


def test_a_gate_of_ones_own_works_everywhere(make_model, small_data, tmp_path):
    tasks = [gssl.Flip(), gssl.LoRotE()]
    model = make_model(tasks=tasks, gating=FirstTaskAlone(strength=0.5))
    history = model.fit(small_data.train(25, tasks), epochs=1, verbose=0).history
    assert history["gate_flip"] == [0.5] and history["gate_lorot"] == [0.0]
    assert history["doubt_flip"] == pytest.approx(history["flip_loss"])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.gate.strength == 0.5 and again.gate.num_tasks == 2
    np.testing.assert_allclose(again.predict(small_data.test(), verbose=0), model.predict(small_data.test(), verbose=0))


def test_a_gate_object_keeps_its_settings_and_belongs_to_one_model(make_model, tmp_path):
    tasks = [gssl.Flip(), gssl.LoRotE()]
    gate = gssl.RewardedGate(temperature=0.2)
    model = make_model(tasks=tasks, gating=gate)
    assert model.gate is gate and gate.num_tasks == 2
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras", compile=False).gate.temperature == 0.2
    with pytest.raises(ValueError, match="already belongs to a model"):
        make_model(tasks=tasks, gating=gate)
    with pytest.raises(ValueError, match="made for 3 tasks, the model has 2"):
        make_model(tasks=tasks, gating=gssl.LearnedGate(3))
