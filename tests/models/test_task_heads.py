"""Heads of the pretext tasks, their losses, and how strongly they pull at the features."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.models.task_heads import judge, pooled


def cross_entropy(logits, label):
    logits = np.asarray(logits, "float64")
    return np.log(np.exp(logits).sum()) - logits[label]


@pytest.fixture
def judged_batch():
    random = np.random.default_rng(0)
    tasks = [gssl.Flip(), gssl.LoRotE()]
    labels = {"flip": np.array([1, -1, 0, -1]), "lorot": np.array([-1, 5, 15, -1])}
    return random, tasks, labels


def test_losses_and_hits_only_where_a_task_was_applied(judged_batch):
    random, tasks, labels = judged_batch
    outputs = [random.normal(size=(4, task.num_labels)).astype("float32") for task in tasks]
    judged = judge(tasks, outputs, labels)
    for index, task in enumerate(tasks):
        for image, label in enumerate(labels[task.name]):
            applied = label >= 0
            wanted = cross_entropy(outputs[index][image], label) if applied else 0
            assert float(judged.losses[image, index]) == pytest.approx(wanted, rel=1e-4, abs=1e-6)
            assert float(judged.applied[image, index]) == applied
            assert float(judged.hits[image, index]) == (applied and outputs[index][image].argmax() == label)


def test_joint_labels_equal_numpy(judged_batch):
    random, tasks, labels = judged_batch
    counts, classes = [90, 9, 1], np.array([0, 2, 1, 1], "int32")
    outputs = [random.normal(size=(4, 3 * task.num_labels)).astype("float32") for task in tasks]
    judged = judge(tasks, outputs, labels, tf.constant(classes), counts)
    for index, task in enumerate(tasks):
        prior = np.repeat(np.log(np.array(counts) / 100), task.num_labels)
        for image, label in enumerate(labels[task.name]):
            if label < 0:
                continue
            wanted = cross_entropy(outputs[index][image] + prior, classes[image] * task.num_labels + label)
            assert float(judged.losses[image, index]) == pytest.approx(wanted, rel=1e-4)
            told = np.exp(outputs[index][image]).reshape(3, -1).sum(0).argmax()
            assert float(judged.hits[image, index]) == (told == label)


def test_a_map_is_averaged_over_its_quadrants():
    feature_map = np.random.default_rng(0).normal(size=(2, 4, 6, 3)).astype("float32")
    wanted = feature_map.reshape(2, 2, 2, 2, 3, 3).mean((2, 4)).reshape(2, -1)
    np.testing.assert_allclose(pooled(tf.constant(feature_map)), wanted, rtol=1e-5)
    assert pooled(tf.zeros((1, 5, 7, 2))).shape == (1, 8)


def test_a_scaled_cosine_head_learns_its_scale():
    head = gssl.ScaledCosineHead(4, dtype="float32")
    features = np.random.default_rng(0).normal(size=(3, 8)).astype("float32")
    out = head(features).numpy()
    kernel = head.kernel.numpy()
    wanted = (
        10 * (features / np.linalg.norm(features, axis=1, keepdims=True)) @ (kernel / np.linalg.norm(kernel, axis=0))
    )
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-5)
    assert len(head.trainable_variables) == 2
    again = gssl.ScaledCosineHead.from_config(head.get_config())
    assert again.initial_scale == 10 and again.units == 4


@pytest.fixture
def make_model(small_data):
    """A network of a few layers, one of them on a path beside the others."""

    def make(**arguments):
        image = keras.Input((16, 16, 3))
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="map_1")(image)
        left = keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="left")(x)
        x = keras.layers.Add(name="map_2")([left, x])
        x = keras.layers.Conv2D(12, 3, activation="relu", name="map_3")(x)
        backbone = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
        model = gssl.GatedSSLModel(backbone, 3, **arguments)
        model.compile(gssl.SGD(0.05, 0.9), gssl.LDAMLoss(small_data.class_counts), metrics=["accuracy"])
        return model

    return make


VARIANTS = {
    "dense heads": {"task_heads": "dense"},
    "scaled cosines": {"task_heads": "scaled-cosine"},
    "joint labels": {"task_heads": "dense", "joint_labels": True},
    "last map": {"task_map": "last", "task_heads": "dense"},
    "earlier map": {"task_map": "map_2", "task_heads": "dense", "gating": "rewarded"},
    "one task per image": {"draw": gssl.TaskDraw("one", 0.5), "gating": "rewarded"},
    "automatic ratio": {"ssl_ratio": "auto", "gradient_ratio": 0.3, "task_heads": "dense"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_train_save_and_load(small_data, make_model, tasks, tmp_path, variant):
    arguments = VARIANTS[variant]
    model = make_model(tasks=tasks, **arguments)
    before = [head.get_weights()[0] for head in model.pretext_heads]
    batches = small_data.train(10, tasks, draw=arguments.get("draw"))
    history = model.fit(batches, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all((one != head.get_weights()[0]).any() for one, head in zip(before, model.pretext_heads, strict=True))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        again.predict(small_data.test(), verbose=0), model.predict(small_data.test(), verbose=0), atol=1e-5
    )
    again.fit(batches, epochs=1, verbose=0)


def test_the_ratio_of_the_gradients_equals_numpy(small_data, make_model, tasks):
    model = make_model(tasks=tasks, ssl_ratio=0.5, gating="none")
    images, labels = next(iter(small_data.train(20, tasks)))
    features = tf.constant(model.backbone(images, training=True))
    model.step_losses(images, labels, None)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(features)
        class_loss = model.weighted_class_loss(images, labels, model.class_head(features), None)
        losses = [
            tf.reduce_mean(
                keras.losses.sparse_categorical_crossentropy(labels[t.name], head(features), from_logits=True)
            )
            for t, head in zip(tasks, model.pretext_heads, strict=True)
        ]
    of_class = np.linalg.norm(tape.gradient(class_loss, features))
    for tracker, loss in zip(model.balance.ratios, losses, strict=True):
        wanted = 0.5 * np.linalg.norm(tape.gradient(loss, features)) / of_class
        assert float(tracker.result()) == pytest.approx(wanted, rel=1e-3)


def test_cosine_heads_without_scale_pull_far_less_than_the_class_loss(small_data, make_model, tasks):
    """Why the pretext heads stay at chance at the paper's settings."""
    ratios = {}
    for kind in ("class", "dense"):
        keras.utils.set_random_seed(0)
        model = make_model(tasks=tasks, ssl_ratio=0.1 if kind == "class" else 1.0, gating="none", task_heads=kind)
        history = model.fit(small_data.train(10, tasks), epochs=1, verbose=0).history
        ratios[kind] = np.mean([history[f"ratio_{task.name}"][0] for task in tasks])
    assert ratios["class"] < 0.01 < 0.1 < ratios["dense"]


def test_an_automatic_ratio_holds(small_data, make_model, tasks):
    model = make_model(tasks=tasks[:1], ssl_ratio="auto", gradient_ratio=0.25, gating="none", task_heads="dense")
    history = model.fit(small_data.train(25, tasks[:1]), epochs=2, verbose=0).history
    np.testing.assert_allclose(history["ratio_lorot"], 0.25, rtol=1e-4)
    assert len(set(history["ssl_ratio"])) > 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task_heads": "cosines"}, "task_heads must be one of"),
        ({"task_map": "stage9"}, "task_map must be 'last' or a layer"),
        ({"task_map": "left"}, "cannot be cut"),
        ({"ssl_ratio": "some"}, "ssl_ratio, where it is not 'auto', must be a finite number"),
        ({"steering": "up"}, "steering must be one of"),
        ({"steering": "levels", "draw": gssl.TaskDraw("one")}, "needs TaskDraw"),
    ],
)
def test_mistakes_are_named(make_model, tasks, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_model(tasks=tasks, **arguments)
