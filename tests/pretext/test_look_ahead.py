"""The gate that looks ahead, what it is told, and steering by it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from benchmarks.gate_proofs import draw, in_order, planted, planted_data, planted_model
from keras_gssl.pretext.steering import chosen


def test_the_derivative_equals_that_of_the_tape():
    images, labels = planted_data(0, 64)
    model = planted_model(0, useless_from_nothing=False)
    model.look_ahead.distance = 0.002
    weights = model.backbone.trainable_variables
    random = np.random.default_rng(0)
    for mean in model.look_ahead.direction:
        mean.assign(random.normal(size=mean.shape))
    before = model.get_weights()

    def losses():
        return model.judged(model.seen(images, False)[2], labels).losses

    (found,), (mean,) = model.look_ahead.along(weights, lambda: (losses(),))
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(mean, losses(), atol=0.05)
    length = np.sqrt(sum((d.numpy() ** 2).sum() for d in model.look_ahead.direction))
    with tf.GradientTape(persistent=True) as tape:
        means = [tf.reduce_mean(column) for column in tf.unstack(losses(), axis=1)]
    for index, each in enumerate(means):
        gradients = tape.gradient(each, weights)
        pairs = zip(gradients, model.look_ahead.direction, strict=True)
        wanted = sum(float(tf.reduce_sum(g * d.numpy())) for g, d in pairs if g is not None) / length
        assert float(tf.reduce_mean(found[:, index])) == pytest.approx(wanted, rel=0.05, abs=2e-3)


def test_v_is_the_running_mean_of_the_balanced_gradient():
    images, labels = planted_data(1, 64)
    model = planted_model(1)
    weights, classes = model.backbone.trainable_variables, tf.constant(labels["class"])
    seen = np.ones(4) + np.bincount(labels["class"], minlength=4)
    balance = (seen.sum() / (4 * seen))[labels["class"]]

    def logits():
        return model.logit_scale * model.class_head(model.features(images, False))

    with tf.GradientTape() as tape:
        losses = keras.losses.sparse_categorical_crossentropy(classes, logits(), from_logits=True)
        loss = tf.reduce_mean(balance.astype("float32") * losses)
    model.look_ahead.learn(weights, logits, classes)
    for mean, gradient in zip(model.look_ahead.direction, tape.gradient(loss, weights), strict=True):
        np.testing.assert_allclose(mean, 0.1 * gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 4])
def test_planted_tasks_come_out_in_order(seed):
    """All seeds: `python -m benchmarks.gate_proofs planted`."""
    assert in_order(planted(seed))


def test_the_gate_learns_rewards_linear_in_the_features_beside_a_null_task():
    gate = gssl.LookAheadGate(2, temperature=1.0)
    gate.build((None, 3))
    features = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    np.testing.assert_allclose(gate(features), 1 / 3, rtol=1e-6)  # nothing is known: all alike, the null task too
    rewards = np.stack([features[:, 0], np.full(200, -1.0)], axis=1).astype("float32")
    applied = np.ones_like(rewards)
    for _ in range(600):
        gate.take(features, rewards, applied)
    unit = np.sqrt((rewards**2).mean())
    logits = np.clip(rewards / unit, -3, 3)
    shares = np.exp(np.concatenate([logits, np.zeros((200, 1))], axis=1))
    wanted = (shares / shares.sum(1, keepdims=True))[:, :2]
    np.testing.assert_allclose(gate(features), wanted, atol=0.06)


def test_a_task_that_was_not_applied_teaches_nothing():
    gate = gssl.LookAheadGate(2)
    gate.build((None, 3))
    features, rewards = np.ones((4, 3), "float32"), np.full((4, 2), 5.0, "float32")
    gate.take(features, rewards, np.array([[1.0, 0.0]] * 4, "float32"))
    kernel, bias = gate.logits.get_weights()
    assert (kernel[:, 0] > 0).all() and bias[0] > 0
    assert (kernel[:, 1] == 0).all() and bias[1] == 0


@pytest.mark.parametrize("steering", [None, "look-ahead", "levels"])
def test_fit_save_and_go_on(small_data, make_model, tasks, tmp_path, steering):
    gating = gssl.LookAheadGate(every=2)
    place = "apart" if steering == "levels" else "one"
    model = make_model(
        tasks=tasks, gating=gating, task_heads="dense", steering=steering, draw=gssl.TaskDraw(place, until_epoch=2)
    )
    batches = small_data.train(10)
    callbacks = [gssl.LevelUpdate(batches)] if steering == "levels" else []
    history = model.fit(batches, epochs=3, verbose=0, callbacks=callbacks).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert {"reward_flip", "gate_flip", "ratio_flip"} <= set(history)
    # The last epoch is left unaltered; levels begin at none.
    assert history["flip_loss"][2] == 0 and (history["flip_loss"][0] > 0) == (steering != "levels")
    assert float(model.gate.looks) > 0
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    again.fit(batches, epochs=4, initial_epoch=3, verbose=0)
    with pytest.raises(ValueError, match="draw the tasks in the training step"):
        again.fit(small_data.train(10, tasks), epochs=5, verbose=0)


def test_one_task_is_weighed_against_none(make_model, tasks):
    assert isinstance(make_model(tasks=tasks[:1], gating="look-ahead").gate, gssl.LookAheadGate)


def test_a_destructive_task_is_drawn_rarely_where_it_destroys():
    """All seeds: `python -m benchmarks.gate_proofs draw`."""
    chances = draw(0, epochs=8)
    assert max(chances["exchange"][:2]) < 0.05 < 0.3 < min(chances["mirror"][:2])


def test_steering_keeps_means_of_each_class_and_draws_rare_ones_to_all():
    steering = gssl.LookAheadSteering(3, 2, temperature=1.0, memory=1.0, prior=0.0, explore=0.0)
    steering.build()
    random = np.random.default_rng(0)
    classes, arms = random.integers(0, 3, 3000), random.integers(0, 3, 3000)
    worth = random.normal(size=3000) + np.where((classes == 1) & (arms == 0), 2.0, 0.0)
    steering.take(tf.constant(classes), tf.one_hot(arms, 3)[:, :2], tf.constant(worth, tf.float32))
    of_class = [worth[classes == index] for index in range(3)]
    wanted = [
        [(worth[(classes == c) & (arms == a)].mean() - of_class[c].mean()) / of_class[c].std() for a in range(3)]
        for c in range(3)
    ]
    np.testing.assert_allclose(steering.worth(), wanted, atol=2e-3)
    chances = np.exp(wanted) / np.exp(wanted).sum(1, keepdims=True)
    np.testing.assert_allclose(steering.chances(np.arange(3)), chances[:, :2], atol=2e-3)
    shrunk = gssl.LookAheadSteering(3, 2, prior=1e6)
    shrunk.build()
    for mine, theirs in zip(shrunk.variables, steering.variables, strict=True):
        mine.assign(theirs)
    assert np.ptp(np.asarray(shrunk.worth()), axis=0).max() < 0.01


def test_levels_rise_where_a_class_is_told_and_fall_where_not(small_data, make_model, tasks):
    model = make_model(tasks=tasks, steering="levels")
    batches = small_data.train(10)
    update = gssl.LevelUpdate(batches)
    update.set_model(model)
    model.steering.levels.assign([0, 2, 1])
    always_one = lambda images: tf.one_hot(tf.ones(len(images), tf.int32), 3)  # noqa: E731
    model.class_outputs = always_one
    logs = {}
    update.on_epoch_end(0, logs)
    np.testing.assert_array_equal(model.steering.levels, [0, 3, 0])
    assert logs["level"] == 1
    update.on_epoch_end(1, logs)
    np.testing.assert_array_equal(model.steering.levels, [0, 3, 0])


def test_so_many_tasks_as_the_level_says():
    levels = np.repeat([0, 1, 2, 3], 500)
    picked = chosen(tf.constant(levels[:, None], tf.float32), 3, tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(picked.sum(1), levels)
    np.testing.assert_allclose(picked[levels == 1].mean(0), 1 / 3, atol=0.07)
    steering = gssl.LevelSteering(4, 3, share=0.5)
    steering.build()
    steering.levels.assign([0, 1, 2, 3])
    chances = np.asarray(steering.chances(tf.constant(levels // 1), tf.constant([3, 4])))
    assert set(chances.sum(1)[levels == 3]) == {0, 3} and chances[levels == 3].any(1).mean() == pytest.approx(
        0.5, abs=0.07
    )


def test_gates_that_know_nothing(make_model, tasks):
    features = np.random.default_rng(0).normal(size=(6, 64)).astype("float32")
    np.testing.assert_allclose(make_model(tasks=tasks, gating="uniform").gate(features), 1 / 3, rtol=1e-6)
    constant = make_model(tasks=tasks, gating=gssl.ConstantGate(weights=[0.2, 0.0, 0.5]))
    np.testing.assert_allclose(constant.gate(features)[3], [0.2, 0.0, 0.5])
    random = make_model(tasks=tasks, gating="random").gate
    weights = random(features).numpy()
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert not np.allclose(weights, random(features))
    shuffled = gssl.ShuffledGate(3)
    shuffled.build((None, 64))
    shuffled.logits.kernel.assign(np.random.default_rng(1).normal(size=(64, 3)))
    plain = gssl.LookAheadGate(3)
    plain.build((None, 64))
    plain.logits.kernel.assign(shuffled.logits.kernel)
    np.testing.assert_allclose(shuffled(features), np.roll(plain(features), 1, axis=0), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gssl.LookAheadGate(every=0), "every must be at least 1"),
        (lambda: gssl.LookAheadSteering(temperature=0), "temperature must be above 0"),
        (lambda: gssl.LevelSteering(share=2), "share must be"),
        (lambda: gssl.ConstantGate(3, weights=[1, 2]), "one for each of 3 tasks"),
        (lambda: gssl.LevelUpdate(None, threshold=1), "threshold must be at least 0"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
