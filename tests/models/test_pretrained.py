"""Backbones that start from trained weights: files, saved models, downloads, presets; frozen first, then slower."""

import dataclasses
import json
import socket
import time

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.errors import UserError
from keras_gssl.models.pretrained import take_weights_of
from keras_gssl.recipes import image_folder
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.pictures import make_folder

PLAIN = {**METHODS["ce"], "backbone": "resnet8", "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A short run on digits, and its folder."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "digits")
    data = gssl.data.digits_lt(0.05)
    train(TrainingSettings(**PLAIN, epochs=2), data, folder)
    return folder


def weights(backbone):
    return {layer.name: layer.get_weights() for layer in backbone.layers if layer.get_weights()}


@pytest.mark.parametrize("file", ["classifier", "last", "best"])
def test_every_model_of_a_run_gives_its_backbone(source, file):
    wanted = weights(keras.models.load_model(source.last).backbone)
    backbone = gssl.backbones.make_backbone("resnet8", (48, 48, 3), getattr(source, file))
    for name, arrays in weights(backbone).items():
        for one, other in zip(arrays, wanted[name], strict=True):
            if file != "best":
                np.testing.assert_array_equal(one, other)
    known = json.loads(source.data.read_text())
    np.testing.assert_allclose(backbone.preprocessing.mean, known["mean"])
    np.testing.assert_allclose(backbone.preprocessing.std, known["std"])


def test_a_backbone_saved_alone_and_its_weights(source, tmp_path):
    backbone = keras.models.load_model(source.last).backbone
    backbone.save(tmp_path / "alone.keras")
    backbone.save_weights(tmp_path / "alone.weights.h5")
    for file in ("alone.keras", "alone.weights.h5"):
        got = weights(gssl.backbones.make_backbone("resnet8", (32, 32, 3), tmp_path / file))
        for name, arrays in weights(backbone).items():
            np.testing.assert_array_equal(arrays[0], got[name][0])


@pytest.mark.parametrize(
    ("name", "file", "message"),
    [
        ("resnet14", "classifier.keras", "its layer 'stage1_block2_conv1' .* it has no such layer"),
        ("resnet18_small", "classifier.keras", "for its layer 'stem' of shapes .* it has"),
        ("resnet8", "settings.json", "does not hold the weights of the backbone resnet8"),
        ("resnet8", "none.keras", "There is no file .*none.keras"),
        ("resnet8", "imagenet", "published for networks of keras.applications .*, not for resnet8"),
    ],
)
def test_weights_that_do_not_fit_are_named(source, name, file, message):
    path = file if file == "imagenet" else source.path / file
    with pytest.raises(ValueError, match=message) as caught:
        gssl.backbones.make_backbone(name, (32, 32, 3), path)
    assert "\n" not in str(caught.value)


def test_layers_that_keras_numbers_anew_are_taken_in_their_order(tmp_path):
    def network():
        image = keras.Input((16, 16, 3))
        x = keras.layers.Conv2D(4, 3)(keras.layers.Conv2D(3, 3)(image))
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))

    one, other = network(), network()
    assert one.layers[1].name != other.layers[1].name
    one.save(tmp_path / "one.keras")
    take_weights_of(other, tmp_path / "one.keras")
    for mine, given in zip(other.get_weights(), one.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, given)


def test_a_model_that_averages_its_weights_gives_the_averages(tmp_path):
    model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), 3, average=0.9)
    model.average.backbone.set_weights([weight + 1 for weight in model.backbone.get_weights()])
    model.save(tmp_path / "averaged.keras")
    got = gssl.backbones.make_backbone("resnet8", (32, 32, 3), tmp_path / "averaged.keras")
    for mine, mean in zip(got.get_weights(), model.average.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, mean)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "bad.keras").write_bytes(b"PK nothing")
    with pytest.raises(ValueError, match="bad.keras is not a model that Keras can load"):
        take_weights_of(gssl.backbones.resnet_cifar(8), tmp_path / "bad.keras")


def test_a_run_from_pretrained_weights_takes_their_pixels_and_goes_on(source, tmp_path):
    data = dataclasses.replace(gssl.data.digits_lt(0.1), mean=(0.1, 0.1, 0.1))
    settings = TrainingSettings(**PLAIN, epochs=2, freeze_epochs=1, backbone_weights=str(source.classifier))
    folder = RunFolder(tmp_path / "run")
    train(settings, data, folder)
    known = json.loads(source.data.read_text())
    assert json.loads(folder.data.read_text())["mean"] == pytest.approx(known["mean"])
    frozen = weights(gssl.backbones.make_backbone("resnet8", (32, 32, 3), source.classifier))
    after = weights(keras.models.load_model(folder.last).backbone)
    assert any((one != other).any() for n in frozen for one, other in zip(frozen[n], after[n], strict=True))
    half = RunFolder(tmp_path / "half")
    with pytest.raises(KeyboardInterrupt):
        train(settings, data, half, callbacks=[StopAfter(1)])
    first = weights(keras.models.load_model(next(half.path.glob("checkpoint-*"))).backbone)
    for name, arrays in frozen.items():
        for one, other in zip(arrays, first[name], strict=True):
            np.testing.assert_array_equal(one, other)  # batch norm's statistics as well
    train(settings, data, half, resume=True)
    for name, arrays in after.items():
        for one, other in zip(arrays, weights(keras.models.load_model(half.last).backbone)[name], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [gssl.SGD, gssl.AdamW, gssl.Muon])
def test_the_backbone_moves_so_much_less(small_data, kind):
    """In one step with a factor of a quarter, from the same weights on the same batch."""
    moved = {}
    for factor in (1.0, 0.25):
        keras.utils.set_random_seed(0)
        backbone = gssl.backbones.resnet_cifar(8, (16, 16, 3))
        model = gssl.GatedSSLModel(backbone, 3, heads="dense", backbone_learning_rate_factor=factor)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(kind(0.01, weight_decay=0.1), loss, jit_compile=False)
        before = [variable.numpy() for variable in model.trainable_variables]
        model.fit(small_data.train(50), epochs=1, verbose=0)
        moved[factor] = {
            variable.path: variable.numpy() - old
            for variable, old in zip(model.trainable_variables, before, strict=True)
        }
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
        assert again.backbone_learning_rate_factor == factor
    inner = {variable.path for variable in model.backbone.trainable_variables}
    for path, step in moved[1.0].items():
        np.testing.assert_allclose(moved[0.25][path], step * (0.25 if path in inner else 1), rtol=2e-3, atol=5e-7)


def test_other_optimizers_cannot_and_say_so(small_data):
    model = gssl.GatedSSLModel(
        gssl.backbones.resnet_cifar(8, (16, 16, 3)), 3, heads="dense", backbone_learning_rate_factor=0.5
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    with pytest.raises(ValueError, match="needs an optimizer that can do it, keras_gssl.SGD, AdamW or Muon"):
        model.fit(small_data.train(50), epochs=1, verbose=0)
    with pytest.raises(ValueError, match="must be above 0 and at most 1, received 0"):
        gssl.GatedSSLModel(model.backbone, 3, backbone_learning_rate_factor=0)


def test_a_download_that_fails_is_one_line_within_seconds(monkeypatch):
    """Whatever Keras makes of it; without a network that is an error of its own after what urllib waited."""

    def no_network(*arguments, **options):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    begin = time.monotonic()
    with pytest.raises(UserError, match="ImageNet weights of MobileNetV2 cannot be fetched .*Give a file") as caught:
        gssl.backbones.make_backbone("MobileNetV2", (32, 32, 3), "imagenet")
    assert "\n" not in str(caught.value) and time.monotonic() - begin < 20
    assert socket.getdefaulttimeout() is None


def test_what_was_downloaded_is_used(monkeypatch):
    """The network that Keras gives with its weights, in place of the download."""
    plain = keras.applications.MobileNetV2

    def published(weights=None, **options):
        network = plain(weights=None, **options)
        if weights == "imagenet":
            network.set_weights([np.full(each.shape, 0.5, each.dtype) for each in network.get_weights()])
        return network

    monkeypatch.setattr(keras.applications, "MobileNetV2", published)
    backbone = gssl.backbones.make_backbone("MobileNetV2", (32, 32, 3), "imagenet")
    assert all((weight == 0.5).all() for weight in backbone.get_weights())
    np.testing.assert_allclose(backbone.preprocessing.mean, 0.5)


def test_a_preset_of_keras_hub(tmp_path):
    hub = pytest.importorskip("keras_hub", reason="keras-hub, an extra, is not installed")
    body = hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
        image_shape=(None, None, 3),
    )  # fmt: skip
    body.save_to_preset(tmp_path / "preset")
    converter = hub.layers.ImageConverter(scale=1 / 127.5, offset=-1.0)
    converter.save_to_preset(tmp_path / "preset")
    backbone = gssl.backbones.make_backbone(f"keras_hub:{tmp_path / 'preset'}", (32, 32, 3))
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(backbone(image), np.mean(body(image), axis=(1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([backbone.preprocessing.mean, backbone.preprocessing.std]), 0.5, atol=1e-6
    )
    model = gssl.GatedSSLModel(backbone, 3, [gssl.Flip()])
    classifier = model.classifier()
    np.testing.assert_allclose(classifier.predict(255 * np.abs(image) % 255, verbose=0).shape, (2, 3))


def test_a_preset_that_is_not_there_is_one_line(tmp_path):
    pytest.importorskip("keras_hub", reason="keras-hub, an extra, is not installed")
    with pytest.raises(UserError, match="The preset .*nowhere' of keras-hub cannot be fetched") as caught:
        gssl.backbones.make_backbone(f"keras_hub:{tmp_path / 'nowhere'}", (32, 32, 3))
    assert "\n" not in str(caught.value)


def test_own_pictures_from_a_pretrained_network_to_its_export(source, tmp_path):
    photos = make_folder(tmp_path / "photos", counts=(12, 9, 6, 4))
    run = tmp_path / "run"
    arguments = [str(photos), "--image-size", "32", "--epochs", "2", "--backbone", "resnet8", "--run-dir", str(run)]
    arguments += ["--backbone-weights", str(source.classifier), "--freeze-epochs", "1", "--optimizer", "adamw"]
    arguments += ["--learning-rate", "0.001", "--backbone-learning-rate-factor", "0.1", "--warmup-epochs", "0"]
    image_folder.main([*arguments, "--tasks", "flip"])
    known = json.loads(source.data.read_text())
    np.testing.assert_allclose(gssl.export.load_deployable(run).mean, known["mean"])
