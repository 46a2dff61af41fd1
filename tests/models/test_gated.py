"""The model as Keras users meet it: fit, evaluate, predict, save, load, precision, compilation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.data.pipeline import CLASS_KEY
from tests.networks import small_backbone


@keras.saving.register_keras_serializable(package="test")
class CutOut(gssl.PretextTask):
    """A user's own task: black out the quadrant or leave it."""

    num_choices = 2

    def transform(self, patches, choices):
        keep = tf.cast(choices == 0, patches.dtype)
        return patches * keep[:, None, None, None]


def first_batch(training_set):
    return next(iter(training_set.from_epoch(0)))


def numpy_cross_entropy(labels, logits):
    logits = np.asarray(logits, "float64")
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


@pytest.mark.parametrize("gating", ["frozen", "learned", "none"])
@pytest.mark.parametrize("reweighted", [False, True])
def test_total_loss_equals_numpy(small_data, make_model, tasks, gating, reweighted):
    model = make_model(backbone=small_backbone(), tasks=tasks, gating=gating, ssl_ratio=0.3)
    counts = small_data.class_counts
    if reweighted:
        model.class_weights.assign(gssl.class_balanced_weights(counts))
    images, labels = first_batch(small_data.train(20, tasks))
    features = np.asarray(model.backbone(images, training=True), "float64")
    classes = labels[CLASS_KEY].numpy()

    cosines = np.asarray(model.class_head(features.astype("float32")), "float64")
    margins = np.eye(3)[classes] * gssl.ldam_margins(counts)
    weights = model.class_weights.numpy().astype("float64")[classes]
    class_loss = (weights * numpy_cross_entropy(classes, 30 * (cosines - margins))).sum() / weights.sum()
    losses = np.stack(
        [
            numpy_cross_entropy(labels[task.name].numpy(), head(features.astype("float32")))
            for task, head in zip(tasks, model.pretext_heads, strict=True)
        ],
        axis=1,
    )
    if gating == "none":
        gate = np.ones_like(losses)
    else:
        kernel, bias = (weight.astype("float64") for weight in model.gate.get_weights())
        logits = features @ kernel + bias
        logits = logits.mean(0, keepdims=True) if gating == "frozen" else logits
        gate = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) * np.ones_like(losses)
    expected = class_loss + 0.3 * (gate * losses).sum(1).mean()

    logs = model.train_on_batch(images, labels, return_dict=True)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(logs["class_loss"]) == pytest.approx(class_loss, rel=1e-4)
    for index, task in enumerate(tasks):
        assert float(logs[f"{task.name}_loss"]) == pytest.approx(losses[:, index].mean(), rel=1e-4)
        assert float(logs[f"gate_{task.name}"]) == pytest.approx(gate[:, index].mean(), rel=1e-4)


@pytest.mark.parametrize(("gating", "moves"), [("frozen", False), ("learned", True)])
def test_gate_is_moved_and_decayed_only_where_it_is_trained(small_data, make_model, tasks, gating, moves):
    optimizer = gssl.SGD(0.1, weight_decay=0.5)
    model = make_model({"optimizer": optimizer}, backbone=small_backbone(), tasks=tasks, gating=gating)
    before = model.gate.get_weights()
    model.fit(small_data.train(25, tasks), epochs=1, verbose=0)
    moved = any((old != new).any() for old, new in zip(before, model.gate.get_weights(), strict=True))
    assert moved == moves


def test_history_names_and_evaluate_and_predict(small_data, make_model, tasks):
    model = make_model(backbone=small_backbone(), tasks=tasks)
    history = model.fit(small_data.train(16, tasks), validation_data=small_data.test(), epochs=2, verbose=0).history
    per_task = {pattern.format(t.name) for t in tasks for pattern in ("{}_loss", "{}_accuracy", "gate_{}", "ratio_{}")}
    assert set(history) == {"loss", "class_loss", "accuracy", "val_loss", "val_accuracy"} | per_task
    assert all(len(values) == 2 and np.isfinite(values).all() for values in history.values())
    assert sum(history[f"gate_{task.name}"][-1] for task in tasks) == pytest.approx(1, rel=1e-4)
    results = model.evaluate(small_data.test(), verbose=0)
    assert len(results) == 2
    outputs = model.predict(small_data.test(), verbose=0)
    assert outputs.shape == (24, 3) and np.abs(outputs).max() <= 1 + 1e-5
    accuracy = (outputs.argmax(1) == small_data.test_labels).mean()
    assert accuracy == pytest.approx(model.evaluate(small_data.test(), return_dict=True, verbose=0)["accuracy"])


def test_augmenting_in_the_step_trains_the_same(small_data, make_model, tasks, monkeypatch):
    """What a GPU does; here the step runs on the CPU."""

    def weights(on_device, **compile_args):
        monkeypatch.setattr(gssl.GatedSSLModel, "_augments_on_device", lambda self: on_device)
        keras.utils.set_random_seed(0)
        model = make_model({"optimizer": gssl.SGD(1e-3), **compile_args}, backbone=small_backbone(), tasks=tasks)
        history = model.fit(small_data.train(16, tasks), epochs=1, verbose=0).history
        # Another set, with other draws: the step must not go on with those of the first.
        model.fit(small_data.train(16, tasks, seed=5), epochs=2, initial_epoch=1, verbose=0)
        return model.get_weights(), history

    in_pipeline, history = weights(False)
    for compile_args in ({}, {"steps_per_execution": 4, "jit_compile": True}):
        in_step, other_history = weights(True, **compile_args)
        for name in history:
            one_image = 0.021 if "accuracy" in name else 1e-4  # which rounding may tip over
            np.testing.assert_allclose(
                history[name], other_history[name], rtol=1e-3, atol=one_image, err_msg=f"{name}, {compile_args}"
            )
        for each, its_twin in zip(in_pipeline, in_step, strict=True):
            np.testing.assert_allclose(each, its_twin, rtol=1e-3, atol=1e-4, err_msg=str(compile_args))


def test_it_learns(small_data, make_model, tasks):
    keras.utils.set_random_seed(0)
    model = make_model(tasks=tasks)
    model.fit(small_data.train(10, tasks), epochs=15, verbose=0)
    assert model.evaluate(small_data.test(), return_dict=True, verbose=0)["accuracy"] > 0.8


def test_ssl_ratio_zero_gives_pretext_heads_no_gradient(small_data, make_model, tasks):
    model = make_model(
        {"optimizer": gssl.SGD(0.1, weight_decay=0.0)}, backbone=small_backbone(), tasks=tasks, ssl_ratio=0.0
    )
    before = [head.get_weights()[0] for head in model.pretext_heads]
    model.fit(small_data.train(25, tasks), epochs=1, verbose=0)
    for old, head in zip(before, model.pretext_heads, strict=True):
        np.testing.assert_array_equal(old, head.get_weights()[0])


@pytest.mark.parametrize("gating", ["frozen", "learned", "none"])
def test_saved_model_loads_with_compiled_state(tmp_path, small_data, make_model, gating):
    tasks = [gssl.LoRotE(), gssl.Flip(axis="columns"), CutOut()]
    model = make_model(backbone=small_backbone(), tasks=tasks, gating=gating)
    model.fit(small_data.train(16, tasks), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.tasks[1].axis == "columns" and isinstance(loaded.tasks[2], CutOut)
    assert loaded.loss.class_counts == small_data.class_counts
    images, _ = next(iter(small_data.test()))
    np.testing.assert_array_equal(loaded.predict(images, verbose=0), model.predict(images, verbose=0))
    # One more epoch from either gives the same: optimiser state came along.
    for each in (model, loaded):
        each.fit(small_data.train(16, tasks), initial_epoch=1, epochs=2, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_weights_round_trip(tmp_path, small_data, make_model, tasks):
    model, other = (make_model(backbone=small_backbone(), tasks=tasks) for _ in range(2))
    model.fit(small_data.train(16, tasks), epochs=1, verbose=0)
    model.save_weights(tmp_path / "w.weights.h5")
    other.optimizer.build(other.trainable_variables)  # as with any Keras model, or its state would be left out
    other.load_weights(tmp_path / "w.weights.h5")
    for one, two in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture
def policy():
    """Sets a dtype policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def test_mixed_precision_takes_the_same_step(small_data, tasks, policy):
    """Traps: updates 2^15 too small without loss scaling, and heads in half precision."""
    updates, weights = {}, None
    for name in ("float32", "mixed_float16", "mixed_bfloat16"):
        policy(name)
        model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, (16, 16, 3)), 3, tasks, gating="none")
        if weights is not None:
            model.set_weights(weights)
        weights = model.get_weights()
        model.compile(optimizer=gssl.SGD(0.1), loss=gssl.LDAMLoss(small_data.class_counts), metrics=["accuracy"])
        before = model.class_head.kernel.numpy()
        images, labels = first_batch(small_data.train(20, tasks))
        model.train_on_batch(images, labels)
        assert model.class_head.compute_dtype == "float32"
        assert model.backbone.layers[1].compute_dtype == name.removeprefix("mixed_")
        updates[name] = model.class_head.kernel.numpy() - before
    scale = np.abs(updates["float32"]).max()
    for name, update in updates.items():
        np.testing.assert_allclose(update, updates["float32"], atol=0.1 * scale, err_msg=name)


def test_ways_of_execution_agree(small_data, make_model, tasks):
    ways = {
        "plain": {},
        "XLA": {"jit_compile": True},
        "two": {"steps_per_execution": 2},
        "eager": {"run_eagerly": True},
    }
    histories, weights = {}, None
    for way, options in ways.items():
        model = make_model({"jit_compile": False, **options}, backbone=small_backbone(), tasks=tasks)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        histories[way] = model.fit(small_data.train(25, tasks), epochs=2, verbose=0).history
    for way, history in histories.items():
        for name, values in histories["plain"].items():
            np.testing.assert_allclose(values, history[name], rtol=2e-2, err_msg=f"{way}, {name}")


def test_execution_must_end_with_the_epoch(small_data, make_model):
    model = make_model({"steps_per_execution": 2})
    with pytest.raises(ValueError, match="must divide the 5 steps"):
        model.fit(small_data.train(10), epochs=1, verbose=0)


def test_summary_lists_the_parts(make_model, tasks):
    lines = []
    make_model(tasks=tasks).summary(print_fn=lines.append)
    text = "\n".join(lines)
    for part in ("class_head", "lorot_head", "flip_head", "channels_head", "gate"):
        assert part in text


@pytest.mark.parametrize("heads", ["cosine", "dense"])
def test_classifier_is_flat_float32_stock_and_equal(small_data, policy, heads):
    policy("mixed_bfloat16")
    model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, (16, 16, 3)), 3, [gssl.Flip()], heads=heads)
    policy("float32")
    classifier = model.classifier(logit_scale=1.0)
    for operation in classifier.operations:
        assert type(operation).__module__.startswith("keras.")
        assert not isinstance(operation, keras.Model)
        if isinstance(operation, keras.layers.Layer):
            assert operation.compute_dtype == "float32"
    images, _ = next(iter(small_data.test()))
    np.testing.assert_allclose(
        classifier.predict(images, verbose=0), model.predict(images, verbose=0), rtol=0.05, atol=0.05
    )
    assert classifier.output_shape == (None, 3)


def test_classifier_logits_carry_the_scale_of_the_loss(small_data, make_model):
    model = make_model()
    images, _ = next(iter(small_data.test()))
    np.testing.assert_allclose(
        model.classifier().predict(images, verbose=0), 30 * model.predict(images, verbose=0), rtol=1e-4, atol=1e-4
    )


def test_any_backbone_that_ends_in_features(small_data, tasks):
    backbone = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(8, 3, strides=2), keras.layers.GlobalMaxPooling2D()]
    )
    model = gssl.GatedSSLModel(backbone, 3, tasks, heads="dense")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    model.fit(small_data.train(25, tasks), epochs=1, verbose=0)
    images, _ = next(iter(small_data.test()))
    np.testing.assert_allclose(
        model.classifier().predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-4, atol=1e-5
    )


def test_mistakes_are_named(small_data, make_model, tasks):
    with pytest.raises(ValueError, match="GlobalAveragePooling2D"):
        gssl.GatedSSLModel(keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3)]), 3)
    with pytest.raises(ValueError, match="no labels for \\['lorot', 'flip', 'channels'\\]"):
        make_model(tasks=tasks).fit(small_data.train(25), epochs=1, verbose=0)
    with pytest.raises(ValueError, match="it needs logits; make the model with heads='dense'"):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        make_model({"loss": loss}).fit(small_data.train(25), epochs=1, verbose=0)
    with pytest.raises(ValueError, match="from_logits=True"):
        make_model({"loss": "sparse_categorical_crossentropy"}, heads="dense").fit(small_data.train(25), verbose=0)
    with pytest.raises(ValueError, match="heads='cosine'"):
        make_model(heads="dense").fit(small_data.train(25), epochs=1, verbose=0)
    with pytest.raises(ValueError, match="heads must be one of"):
        make_model(heads="linear")


@pytest.mark.parametrize("tasks", [[gssl.LoRotE(), gssl.Flip()], [gssl.ShuffleChannels()]], ids=["moves", "colours"])
def test_every_pretext_head_learns_its_label(tasks):
    """End to end: on pictures made of one lopsided, coloured pattern, what was done to a quadrant can be told."""
    rows, columns = np.mgrid[:8, :8]
    pattern = np.stack([20 * rows, 12 * columns + 40, 200 - 8 * rows - 10 * columns], axis=-1)
    noise = np.random.default_rng(0).integers(0, 8, (96, 16, 16, 3))
    pictures = (np.tile(pattern, (2, 2, 1)) + noise).astype("uint8")
    labels = np.arange(96) % 3
    data = gssl.data.from_arrays(
        pictures, labels, pictures[:6], labels[:6], crop_padding=0, horizontal_flip=False, mean=[0.5] * 3, std=[0.3] * 3
    )
    keras.utils.set_random_seed(0)
    model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, (16, 16, 3)), 3, tasks, 1.0, "none", heads="dense")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(gssl.SGD(0.05), loss, metrics=["accuracy"])
    history = model.fit(data.train(16, tasks), epochs=32, verbose=0).history
    for task in tasks:
        assert history[f"{task.name}_accuracy"][-1] > 0.7, task.name
