"""SLA+SD and SSP against independent NumPy references and golden values."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.data.pipeline import CLASS_KEY
from keras_gssl.models.sla_sd import aggregate, distillation


def log_softmax(logits):
    logits = np.asarray(logits, "float64")
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def make_sla_sd(data, heads="cosine"):
    model = gssl.SLASDModel(gssl.backbones.resnet_cifar(8, data.image_shape), data.num_classes, heads)
    ldam = gssl.LDAMLoss(data.class_counts)
    loss = ldam if heads == "cosine" else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=gssl.SGD(0.05), loss=loss, metrics=["accuracy"])
    return model


def test_sla_sd_pieces_equal_golden(golden):
    values = golden["sla_sd"]
    random = np.random.RandomState(11)
    joint, single = random.standard_normal((12, 40)), random.standard_normal((12, 10))[::4]
    np.testing.assert_allclose(aggregate(tf.constant(joint)), values["agg_logits"], rtol=1e-10)
    divergence = np.mean(distillation(tf.constant(joint), tf.constant(single)))
    np.testing.assert_allclose(divergence, values["kl_T1"], rtol=1e-6)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    total = divergence + cross_entropy(np.array(values["joint_labels"]), joint)
    total += cross_entropy(np.array(values["labels"]), single)
    np.testing.assert_allclose(total, values["total"], rtol=1e-6)


@pytest.mark.parametrize("heads", ["cosine", "dense"])
def test_sla_sd_loss_equals_numpy(small_data, heads):
    model = make_sla_sd(small_data, heads)
    counts = small_data.class_counts
    model.class_weights.assign(gssl.class_balanced_weights(counts))
    images, labels = next(iter(small_data.train(12).from_epoch(0)))
    classes = labels[CLASS_KEY].numpy()

    rotated = np.stack([np.rot90(images.numpy(), turns, axes=(1, 2)) for turns in range(4)], axis=1)
    features = model.backbone(rotated.reshape(-1, 16, 16, 3), training=True)
    joint = np.asarray(model.joint_head(features), "float64")
    single = np.asarray(model.class_head(features), "float64").reshape(12, 4, 3)[:, 0]
    joint_classes = (4 * classes[:, None] + np.arange(4)).ravel()
    weights = model.class_weights.numpy().astype("float64")[classes]
    scale = 30 if heads == "cosine" else 1
    margins = gssl.ldam_margins(counts) if heads == "cosine" else np.zeros(3)

    def weighted(logits, targets, margin_of, weight):
        shifted = scale * (logits - np.eye(logits.shape[1])[targets] * margin_of[:, None])
        losses = -log_softmax(shifted)[np.arange(len(targets)), targets]
        return (weight * losses).sum() / weight.sum()

    class_loss = weighted(single, classes, margins[classes], weights)
    joint_loss = weighted(joint, joint_classes, np.repeat(margins[classes], 4), np.repeat(weights, 4))
    by_image = joint.reshape(12, 4, 3, 4)
    teacher = log_softmax(scale * sum(by_image[:, turn, :, turn] for turn in range(4)) / 4)
    divergence = (np.exp(teacher) * (teacher - log_softmax(scale * single))).sum(axis=1).mean()

    logs = model.train_on_batch(images, classes, return_dict=True)
    assert logs["class_loss"] == pytest.approx(class_loss, rel=1e-4)
    assert logs["joint_loss"] == pytest.approx(joint_loss, rel=1e-4)
    assert logs["distillation_loss"] == pytest.approx(divergence, rel=1e-3)
    assert logs["loss"] == pytest.approx(class_loss + joint_loss + divergence, rel=1e-4)


def test_distillation_sends_no_gradient_into_the_teacher():
    joint, single = tf.Variable(tf.random.normal((8, 12))), tf.Variable(tf.random.normal((2, 3)))
    with tf.GradientTape() as tape:
        loss = distillation(joint, single)
    assert tape.gradient(loss, [joint, single])[0] is None


def test_sla_sd_trains_saves_and_ships_one_head(small_data, tmp_path):
    model = make_sla_sd(small_data)
    history = model.fit(small_data.train(25), epochs=2, validation_data=small_data.test(), verbose=0).history
    assert {"loss", "class_loss", "joint_loss", "joint_accuracy", "distillation_loss", "val_accuracy"} <= set(history)
    assert not {"val_joint_loss", "val_distillation_loss"} & set(history)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    images = next(iter(small_data.test()))[0]
    np.testing.assert_allclose(again.predict(images, verbose=0), model.predict(images, verbose=0), atol=1e-6)
    assert model.classifier().count_params() == make_model(small_data).classifier().count_params()
    assert len(model.trainable_variables) == len(make_model(small_data).trainable_variables) + 1


def make_model(data):
    return gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8, data.image_shape), data.num_classes)


def test_rotation_batches_are_the_images_rotated_once(small_data):
    plain = next(iter(small_data.train(20, seed=3).from_epoch(2)))[0].numpy()
    pretext = gssl.RotationPrediction(small_data, 20, seed=3)
    images, labels = next(iter(pretext.from_epoch(2)))
    turns = labels[CLASS_KEY].numpy()
    assert set(turns) == {0, 1, 2, 3}
    for image, original, turn in zip(images.numpy(), plain, turns, strict=True):
        np.testing.assert_array_equal(image, np.rot90(original, turn))


def test_rotation_batches_do_not_depend_on_earlier_epochs(small_data):
    pretext = gssl.RotationPrediction(small_data, 20, seed=3)
    steps = pretext.steps_per_epoch
    from_start = list(pretext.from_epoch(0).take(3 * steps))[2 * steps :]
    for one, other in zip(from_start, pretext.from_epoch(2).take(steps), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1][CLASS_KEY], other[1][CLASS_KEY])


def test_transfer_copies_every_tensor(small_data):
    source = gssl.rotation_model(gssl.backbones.resnet_cifar(8, small_data.image_shape))
    source.fit(gssl.RotationPrediction(small_data, 25), epochs=1, verbose=0)
    model = make_model(small_data)
    count = gssl.transfer_backbone(source.backbone, model.backbone)
    assert count == len(model.backbone.weights) > 0
    for one, other in zip(source.backbone.get_weights(), model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("other", [gssl.backbones.resnet_cifar(14, (16, 16, 3)), keras.Sequential([keras.Input((3,))])])
def test_transfer_of_nothing_or_of_a_part_is_an_error(other):
    target = gssl.backbones.resnet_cifar(14, (16, 16, 3))
    before = target.get_weights()
    source = gssl.backbones.resnet_cifar(8, (16, 16, 3)) if other.weights else other
    with pytest.raises(ValueError, match="have no counterpart"):
        gssl.transfer_backbone(source, target)
    for one, same in zip(before, target.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)
