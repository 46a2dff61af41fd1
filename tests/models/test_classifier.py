"""What `classifier()` and Keras' own exporters make of models with any kind of backbone."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.export.deployable import Deployable
from keras_gssl.export.runners import quiet_litert
from keras_gssl.report.explanations import heat_maps, last_maps

IMAGES = np.random.default_rng(0).normal(size=(5, 16, 16, 3)).astype("float32")


def swish(x):
    return x * keras.ops.sigmoid(x)


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """As people write them; it has no shape before it is called."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = keras.layers.Conv2D(6, 3, activation="relu")
        self.norm = gssl.FusedBatchNormalization()
        self.pool = keras.layers.GlobalAveragePooling2D()

    def call(self, images, training=False):
        return self.pool(self.norm(self.conv(images), training=training))


@keras.saving.register_keras_serializable(package="tests")
class InTensorFlow(Subclassed):
    def build(self, input_shape):
        self.conv.build(input_shape)
        self.built = True

    def call(self, images, training=False):
        return tf.reduce_mean(self.conv(tf.convert_to_tensor(images)), (1, 2))


def scaled(x, factor=2):
    return factor * x


class Unconfigured(keras.layers.Layer):
    """Without `get_config`, so Keras cannot make it again."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return self.factor * x


def functional(*layers):
    image = x = keras.Input((16, 16, 3), name="image")
    for layer in layers:
        x = layer(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


def nested():
    inner = functional(keras.layers.Conv2D(6, 3, name="conv"), keras.layers.ReLU(name="relu"))
    inner = keras.Model(inner.input, inner.layers[-2].output, name="inner")
    outer = keras.Sequential([keras.Input((16, 16, 3)), inner, keras.layers.Conv2D(5, 3, name="conv")], name="outer")
    return functional(outer)


BACKBONES = {
    "models within": nested,
    "Sequential": lambda: keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(5, 3), keras.layers.GlobalAveragePooling2D()]
    ),
    "Lambda": lambda: functional(keras.layers.Conv2D(5, 3), keras.layers.Lambda(lambda x: x * 2 + len("a"))),
    "Lambda with arguments": lambda: functional(
        keras.layers.Lambda(scaled, arguments={"factor": 3}), keras.layers.Conv2D(5, 3)
    ),
    "no configuration": lambda: functional(keras.layers.Conv2D(5, 3), Unconfigured(2.0)),
    "a function as activation": lambda: functional(keras.layers.Conv2D(5, 3, activation=swish)),
    "a lambda as activation": lambda: functional(keras.layers.Conv2D(5, 3, activation=lambda x: x * 0.5)),
    "Normalization": lambda: functional(keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])),
    "grouped convolution": lambda: functional(keras.layers.Conv2D(6, 3, groups=3, activation="gelu")),
    "depthwise as a grouped one": lambda: functional(keras.layers.Conv2D(3, 3, groups=3, activation="gelu")),
    "subclassed": Subclassed,
    "subclassed, TensorFlow's operations": InTensorFlow,
}
NESTED = {"subclassed, TensorFlow's operations"}
SHARED = {"no configuration"}  # the layer itself, as it cannot be copied


@pytest.mark.parametrize("name", BACKBONES)
def test_the_classifier_is_flat_and_says_the_same(name, tmp_path):
    model = gssl.GatedSSLModel(BACKBONES[name](), 4, input_shape=(16, 16, 3))
    model.compile(gssl.SGD(0.01), gssl.LDAMLoss([5, 4, 3, 2]))
    model.fit(IMAGES, np.arange(5) % 4, epochs=1, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if name in SHARED else "error")
        flat = model.classifier(logit_scale=1.0)
    wanted = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(flat.predict(IMAGES, verbose=0), wanted, rtol=1e-4, atol=1e-5)
    inside = [layer for layer in flat.layers if isinstance(layer, keras.Model)]
    assert bool(inside) == (name in NESTED)
    own = {type(layer).__module__.split(".")[0] for layer in flat.layers} - {"keras"}
    assert not own or name in NESTED | SHARED, "stock Keras layers alone"
    before = flat.get_weights()
    model.set_weights([weights + 1 for weights in model.get_weights()])
    assert all((one == two).all() for one, two in zip(before, flat.get_weights(), strict=True)) or name in NESTED


@pytest.mark.parametrize("name", ["models within", "subclassed"])
def test_explanations_find_the_last_maps(name):
    model = gssl.GatedSSLModel(BACKBONES[name](), 4, input_shape=(16, 16, 3))
    deployable = Deployable(model.classifier(), (0.5,) * 3, (0.25,) * 3)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype("uint8")
    assert deployable.classifier.get_layer(last_maps(deployable.classifier)).output.shape[-1] < 32
    for heat in heat_maps(deployable, pixels, ["Grad-CAM", "Score-CAM"]).values():
        assert heat.shape == (16, 16)


@pytest.mark.parametrize("name", ["a function as activation", "Normalization", "depthwise as a grouped one"])
def test_onnx_of_it_agrees(name, tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install 'keras_gssl[export]' to run this")
    model = gssl.GatedSSLModel(BACKBONES[name](), 4)
    assert gssl.export.to_onnx(model, tmp_path / "c.onnx", input_type="float32").exists()


def test_what_onnx_cannot_say_is_one_line(tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install 'keras_gssl[export]' to run this")
    model = gssl.GatedSSLModel(BACKBONES["grouped convolution"](), 4)
    with pytest.raises(gssl.UserError, match="operations that cannot be written as ONNX") as caught:
        gssl.export.to_onnx(model, tmp_path / "c.onnx", input_type="float32")
    assert len(str(caught.value).splitlines()) == 1 and not list(tmp_path.iterdir())


@pytest.fixture
def fitted():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype("uint8")
    tasks = [gssl.Flip(), gssl.LoRotE()]
    backbone = functional(keras.layers.Conv2D(5, 3, activation="relu"))
    model = gssl.GatedSSLModel(backbone, 3, tasks, preprocessing=gssl.PixelNormalization.of(pixels))
    model.compile(gssl.SGD(0.01), gssl.LDAMLoss([5, 4, 3]))
    model.fit(pixels, np.arange(12) % 3, verbose=0)
    return model, pixels.astype("float32")


def test_keras_own_ways_out_of_a_fitted_model(fitted, tmp_path):
    model, pixels = fitted
    wanted = model.predict(pixels, verbose=0)
    assert model.output_shape == (None, 3) and model.input_shape == (None, 16, 16, 3)
    model.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(loaded.serve(tf.constant(pixels)), wanted, rtol=1e-4, atol=1e-5)
    with quiet_litert():  # TensorFlow warns that this part of it will move
        interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], pixels)
    interpreter.invoke()
    np.testing.assert_allclose(interpreter.get_tensor(result["index"]), wanted, rtol=1e-3, atol=1e-4)


def test_a_model_with_preprocessing_ships_it(fitted, tmp_path):
    model, pixels = fitted
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert again.logit_scale == 30 and repr(again.preprocessing) == repr(model.preprocessing)
    wanted = 30 * model.predict(pixels, verbose=0)
    np.testing.assert_allclose(again.classifier().predict(pixels, verbose=0), wanted, rtol=1e-3, atol=1e-3)
    deployable = Deployable.from_model(again)
    np.testing.assert_allclose(deployable.logits(pixels.astype("uint8")), wanted, rtol=1e-3, atol=1e-3)


def test_probabilities_are_those_that_were_trained():
    """Whether or not the loss is known: the scale is the model's."""
    model = gssl.GatedSSLModel(functional(keras.layers.Conv2D(5, 3)), 10)
    logits = model.classifier().predict(IMAGES, verbose=0)
    np.testing.assert_allclose(logits, 30 * model.predict(IMAGES, verbose=0), rtol=1e-4, atol=1e-4)
    model.compile(gssl.SGD(0.1), gssl.LDAMLoss([2] * 10, scale=20))
    with pytest.raises(ValueError, match="logit_scale=20"):
        model.fit(IMAGES, np.arange(5), verbose=0)


def test_a_backbone_without_a_shape_is_asked_for_it():
    with pytest.raises(ValueError, match="input_shape="):
        gssl.GatedSSLModel(Subclassed(), 4)
    called = Subclassed()
    called(IMAGES)
    assert gssl.GatedSSLModel(called, 4).input_shape == (None, 16, 16, 3)
    with pytest.raises(ValueError, match="GlobalAveragePooling2D"):
        gssl.GatedSSLModel(keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(5, 3)]), 4)


def test_the_scale_of_a_model_saved_by_an_earlier_version_is_its_losss(tmp_path):
    model = gssl.GatedSSLModel(functional(keras.layers.Conv2D(5, 3)), 4)
    config = model.get_config()
    del config["logit_scale"]
    again = gssl.GatedSSLModel.from_config(config)
    again.compile_from_config(
        {"optimizer": "sgd", "loss": keras.saving.serialize_keras_object(gssl.LDAMLoss([4, 3, 2, 1], scale=20))}
    )
    assert again.logit_scale == 20


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="this machine has a GPU")
def test_a_model_saved_on_a_gpu_is_not_compiled_with_xla_on_a_cpu(tmp_path):
    model = gssl.GatedSSLModel(functional(keras.layers.Conv2D(5, 3)), 4)
    model.compile("sgd", gssl.LDAMLoss([4, 3, 2, 1]), jit_compile=True)
    model.save(tmp_path / "model.keras")
    assert model.jit_compile and not keras.models.load_model(tmp_path / "model.keras").jit_compile


def test_preprocessing_is_ours_or_none():
    for wrong in (keras.layers.Rescaling(1 / 255), len, True):
        with pytest.raises(ValueError, match="must be a keras_gssl.PixelNormalization"):
            gssl.GatedSSLModel(functional(keras.layers.Conv2D(5, 3)), 4, preprocessing=wrong)
    model = gssl.GatedSSLModel(functional(keras.layers.Conv2D(5, 3)), 4, preprocessing=False)
    assert np.isfinite(model.predict(1000 * IMAGES, verbose=0)).all(), "any values, as they are"
    assert gssl.GatedSSLModel.from_config(model.get_config()).get_config()["preprocessing"] is False


def test_normalised_data_for_a_network_that_scales_by_itself_is_refused(small_data):
    backbone = functional(keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(5, 3))
    model = gssl.GatedSSLModel(backbone, 3)
    model.compile(gssl.SGD(0.1), gssl.LDAMLoss([3, 2, 1]))
    for use in (lambda: model.fit(small_data.train(25)), lambda: model.evaluate(small_data.test())):
        with pytest.raises(ValueError, match="scales pixels by itself"):
            use()
