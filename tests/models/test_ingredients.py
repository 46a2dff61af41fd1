"""Averaged weights, a re-trained classifier and distillation: against NumPy, in `fit`, saved and loaded."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl


@pytest.fixture
def make_model(small_data):
    """A network of a few layers with a batch norm."""

    def make(compile_args=None, **arguments):
        layers = [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(8, 3, strides=2),
            gssl.FusedBatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
        ]
        model = gssl.GatedSSLModel(keras.Sequential(layers), 3, **arguments)
        loss = gssl.LDAMLoss(small_data.class_counts)
        model.compile(
            **{"optimizer": gssl.SGD(0.05, 0.9), "loss": loss, "metrics": ["accuracy"], **(compile_args or {})}
        )
        return model

    return make


def weights_of(model):
    return [*model.backbone.get_weights(), *model.class_head.get_weights()]


def averages_of(model):
    return [*model.average.backbone.get_weights(), *model.average.head.get_weights()]


def test_the_average_equals_numpy_statistics_included(small_data, make_model):
    model = make_model(average=0.8)
    means, seen = [weight.astype("float64") for weight in weights_of(model)], []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(weights_of(self.model))

    model.fit(small_data.train(10), epochs=2, verbose=0, callbacks=[Watch()])
    for step, weights in enumerate(seen, start=1):
        momentum = min(0.8, step / (9 + step))
        means = [momentum * mean + (1 - momentum) * weight for mean, weight in zip(means, weights, strict=True)]
    assert len(seen) == 10
    for mean, found in zip(means, averages_of(model), strict=True):
        np.testing.assert_allclose(found, mean, rtol=1e-4, atol=1e-6)


def test_the_average_is_what_is_used_saved_and_exported(small_data, make_model, tmp_path):
    model = make_model(average=0.9)
    model.fit(small_data.train(10), epochs=2, verbose=0)
    predicted = model.predict(small_data.test(), verbose=0)
    trained = weights_of(model)
    classifier = model.classifier(logit_scale=1.0)
    np.testing.assert_allclose(classifier.predict(small_data.test(), verbose=0), predicted, atol=1e-4)
    for before, after in zip(trained, weights_of(model), strict=True):
        np.testing.assert_array_equal(before, after)
    assert all(layer.trainable for layer in classifier.layers)
    plain = model.class_head(model.features(next(iter(small_data.test()))[0], training=False))
    assert not np.allclose(plain, predicted, atol=1e-3)

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(small_data.test(), verbose=0), predicted, atol=1e-5)
    np.testing.assert_array_equal(again.average.updates, model.average.updates)
    with pytest.raises(ValueError, match="momentum of the mean"):
        make_model(average=1.5)


def test_training_is_the_same_with_and_without_an_average(small_data, make_model):
    results = []
    for average in (0.0, 0.9):
        keras.utils.set_random_seed(1)
        model = make_model(average=average)
        model.fit(small_data.train(25), epochs=1, verbose=0)
        results.append(weights_of(model))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_classifier_alone_is_trained_anew(small_data, make_model, average):
    model = make_model(average=average)
    seen = {}

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen[epoch] = (self.model.backbone.get_weights(), self.model.class_head.get_weights())

    stage = gssl.RetrainClassifier(start_epoch=1, class_counts=small_data.class_counts)
    model.fit(small_data.train(25), epochs=3, verbose=0, callbacks=[Watch(), stage, Watch()])
    for one, two in zip(seen[1][0], model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)  # moving statistics too
    assert not np.allclose(seen[1][1][0], seen[2][1][0])
    counts = np.array(small_data.class_counts)
    wanted = (1 / counts) * 3 / (1 / counts).sum()
    np.testing.assert_allclose(model.class_weights, wanted, rtol=1e-5)


def test_a_stage_goes_on_where_it_was(small_data, make_model):
    model = make_model()
    stage = gssl.RetrainClassifier(start_epoch=1)
    model.fit(small_data.train(25), epochs=2, verbose=0, callbacks=[stage])
    head = model.class_head.get_weights()[0]
    model.heads_only = False  # as after loading
    stage.set_model(model)
    stage.on_epoch_begin(2)
    np.testing.assert_array_equal(head, model.class_head.get_weights()[0])
    assert model.heads_only


def test_distillation_equals_numpy(small_data, make_model):
    teachers = [make_model(heads="dense", compile_args={"loss": None}).classifier() for _ in range(2)]
    images = next(iter(small_data.test()))[0][:6]
    student = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    distillation = gssl.Distillation(teachers, weight=0.7, temperature=3.0)
    told = np.mean([_softmax(np.asarray(teacher(images), "float64") / 3) for teacher in teachers], axis=0)
    wanted = 0.7 * 9 * (told * (np.log(told) - np.log(_softmax(student.astype("float64") / 3)))).sum(1)
    np.testing.assert_allclose(distillation(images, tf.constant(student)), wanted, rtol=1e-4, atol=1e-5)


def _softmax(logits):
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def test_fit_with_teachers(small_data, make_model, tasks, tmp_path):
    teacher = make_model().classifier()
    before = teacher.get_weights()
    model = make_model(tasks=tasks, distillation=gssl.Distillation([teacher]))
    history = model.fit(small_data.train(25, tasks), epochs=2, verbose=0).history
    assert history["teacher_loss"][1] > 0
    for one, two in zip(before, model.distillation.teachers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(small_data.test(), verbose=0), model.predict(small_data.test(), verbose=0))
    with pytest.raises(ValueError, match="at least one teacher"):
        gssl.Distillation([])
    with pytest.raises(ValueError, match="temperature must be above 0"):
        gssl.Distillation([teacher], temperature=0)


def test_a_balanced_loss_in_fit_with_either_head(small_data, make_model):
    for scale, heads in ((None, "dense"), (30.0, "cosine")):
        loss = gssl.LogitAdjustedLoss(small_data.class_counts, scale=scale)
        history = make_model({"loss": loss}, heads=heads).fit(small_data.train(25), epochs=2, verbose=0).history
        assert np.isfinite(history["loss"]).all()
    with pytest.raises(ValueError, match="heads='dense' do not go with"):
        make_model({"loss": loss}, heads="dense").fit(small_data.train(25), verbose=0)
