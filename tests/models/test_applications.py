"""Networks of keras.applications: their pixels, their weights from a file, and the classifier made of them."""

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from keras_gssl.data.normalisation import normalise
from keras_gssl.layers import take_up_weights
from keras_gssl.models.applications import application, application_names, pixel_scale


@pytest.mark.parametrize(
    ("name", "module", "blue_first"),
    [("MobileNetV2", "mobilenet_v2", False), ("ResNet50", "resnet50", True), ("EfficientNetB0", "efficientnet", False),
     ("DenseNet121", "densenet", False), ("MobileNetV3Small", "mobilenet_v3", False)],
)  # fmt: skip
def test_pixels_are_what_the_network_expects(name, module, blue_first):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype("float32")
    mean, std, reverse = pixel_scale(name)
    assert reverse == blue_first
    ours = normalise(pixels, mean, std).numpy()
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(ours[..., ::-1] if reverse else ours, expected, atol=2e-5)


def test_every_network_has_its_pixels():
    assert len(application_names()) >= 30
    for name in application_names():
        mean, std, _ = pixel_scale(name)
        assert len(mean) == 3 and min(std) > 0


def test_weights_come_from_a_file(tmp_path):
    source = application("ResNet50", (32, 32, 3))
    body = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    body.set_weights(source.get_weights())
    body.save_weights(tmp_path / "r.weights.h5")
    loaded = gssl.backbones.make_backbone("ResNet50", (32, 32, 3), tmp_path / "r.weights.h5")
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(loaded(image), source(image), rtol=1e-5)
    np.testing.assert_allclose(body(image[..., ::-1]), source(image), rtol=1e-5)
    with pytest.raises(ValueError, match="does not hold the weights of MobileNetV2"):
        gssl.backbones.make_backbone("MobileNetV2", (32, 32, 3), tmp_path / "r.weights.h5")


def test_normalisation_layers_compute_with_their_weights():
    backbone = application("EfficientNetB0", (32, 32, 3))
    weights = backbone.get_weights()
    assert [weight.shape for weight in weights[:2]] == [(3,), (3,)]
    backbone.set_weights([weights[0] + 0.5, weights[1] * 0.04, *weights[2:]])
    take_up_weights(backbone.layers)
    model = gssl.GatedSSLModel(backbone, 3)
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(model.classifier(1.0)(image), model(image), atol=1e-5)
    with pytest.raises(ValueError, match="Use EfficientNetV2B0"):
        gssl.backbones.make_backbone("EfficientNetB0", (32, 32, 3), __file__)


def test_the_classifier_is_flat_and_equal():
    model = gssl.GatedSSLModel(application("ResNet50", (32, 32, 3)), 3)
    classifier = model.classifier(logit_scale=1.0)
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(classifier(image), model(image), atol=1e-5)
    assert not any(isinstance(layer, keras.Model) for layer in classifier.layers)
