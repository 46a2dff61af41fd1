"""`GatedSSLModel` in place of a `keras.Model`: any data, callback, weights and way to compile."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_gssl as gssl
from tests.models.fitting import NORMALISE, Batches, as_dataset, make, with_backup


def adam():
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 10))


#: What is tried, what `fit` gets, how the model is made. `x` are images, `y` labels.
VARIANTS = {
    "arrays": (lambda x, y, folder: ((x, y), {}), {}),
    "tensors": (lambda x, y, folder: ((tf.constant(x), tf.constant(y)), {}), {}),
    "dataset": (lambda x, y, folder: ((as_dataset(x, y),), {}), {}),
    "dataset with weights": (lambda x, y, folder: ((as_dataset(x, y, np.ones(40, "float32")),), {}), {}),
    "PyDataset": (lambda x, y, folder: ((Batches(x, y),), {}), {}),
    "generator": (lambda x, y, folder: ((((x[:10], y[:10]) for _ in range(9)),), {"steps_per_epoch": 4}), {}),
    "labels (batch, 1)": (lambda x, y, folder: ((x, y[:, None]), {}), {}),
    "one-hot labels, LDAM": (lambda x, y, folder: ((x, np.eye(3)[y]), {}), {}),
    "one-hot labels, cross-entropy": (
        lambda x, y, folder: ((x, np.eye(3)[y]), {}),
        {"heads": "dense", "compile_args": {"loss": keras.losses.CategoricalCrossentropy(from_logits=True)}},
    ),
    "class_weight": (lambda x, y, folder: ((x, y), {"class_weight": {0: 1.0, 1: 2.0, 2: 3.0}}), {}),
    "sample_weight": (lambda x, y, folder: ((x, y), {"sample_weight": np.linspace(0, 1, 40)}), {}),
    "validation_split": (lambda x, y, folder: ((x, y), {"validation_split": 0.25}), {}),
    "EarlyStopping": (
        lambda x, y, folder: (
            (x, y),
            {
                "validation_data": (x, y),
                "callbacks": [keras.callbacks.EarlyStopping("val_loss", restore_best_weights=True)],
            },
        ),
        {},
    ),
    "ReduceLROnPlateau": (
        lambda x, y, folder: ((x, y), {"callbacks": [keras.callbacks.ReduceLROnPlateau("loss", patience=0)]}),
        {},
    ),
    "ModelCheckpoint": (
        lambda x, y, folder: (
            (x, y),
            {
                "validation_data": as_dataset(x, y),
                "callbacks": keras.callbacks.ModelCheckpoint(folder / "best.keras", monitor="val_accuracy"),
            },
        ),
        {},
    ),
    "BackupAndRestore": (lambda x, y, folder: ((x, y), {"callbacks": [with_backup(folder)]}), {}),
    "TerminateOnNaN": (lambda x, y, folder: ((x, y), {"callbacks": [keras.callbacks.TerminateOnNaN()]}), {}),
    "SwapEMAWeights": (
        lambda x, y, folder: ((x, y), {"callbacks": [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]}),
        {"compile_args": {"optimizer": gssl.SGD(0.05, use_ema=True)}},
    ),
    "Adam with a schedule": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"optimizer": adam()}}),
    "Keras' SGD with EMA, clipping": (
        lambda x, y, folder: ((x, y), {}),
        {"compile_args": {"optimizer": keras.optimizers.SGD(0.05, use_ema=True, global_clipnorm=1.0)}},
    ),
    "gradient accumulation": (
        lambda x, y, folder: ((x, y), {}),
        {"compile_args": {"optimizer": keras.optimizers.SGD(0.05, gradient_accumulation_steps=2)}},
    ),
    "steps_per_execution": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"steps_per_execution": 2}}),
    "run_eagerly": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"run_eagerly": True}}),
    "jit_compile": (lambda x, y, folder: ((x, y), {}), {"compile_args": {"jit_compile": True}}),
    "own metrics": (
        lambda x, y, folder: ((x, y), {}),
        {"compile_args": {"metrics": [gssl.metrics.ClassAccuracy(3), gssl.metrics.ExpectedCalibrationError(30)]}},
    ),
    "a gate object": (lambda x, y, folder: ((x, y), {}), {"gating": gssl.RewardedGate(temperature=0.2)}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_fit_takes(name, pixels, tmp_path):
    arguments, how = VARIANTS[name]
    given, options = arguments(*pixels, tmp_path)
    model = make(**how)
    before = [weights.copy() for weights in model.get_weights()]
    options = {"batch_size": 10, **options} if isinstance(given[0], (np.ndarray, tf.Tensor)) else options
    history = model.fit(*given, epochs=2, verbose=0, **options).history
    assert len(history["loss"]) == 2 and all(np.isfinite(values).all() for values in history.values())
    assert {"class_loss", "flip_loss", "lorot_accuracy", "gate_flip"} <= set(history)
    assert any((old != new).any() for old, new in zip(before, model.get_weights(), strict=True))
    assert np.isfinite(model.predict(pixels[0][:4], verbose=0)).all()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_on_arrays(policy, pixels):
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
    finally:
        keras.config.set_dtype_policy("float32")
    history = model.fit(*pixels, batch_size=10, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all() and model.predict(pixels[0][:2], verbose=0).dtype == "float32"


def test_images_of_a_directory(pixels, tmp_path):
    images, labels = pixels
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = tmp_path / f"class {label}"
        folder.mkdir(exist_ok=True)
        keras.utils.save_img(folder / f"{number}.png", image, scale=False)
    dataset = keras.utils.image_dataset_from_directory(tmp_path, image_size=(16, 16), batch_size=10, verbose=False)
    history = make().fit(dataset, validation_data=dataset, epochs=2, verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


@pytest.mark.parametrize("kind", ["arrays", "dataset", "training data", "altered in the dataset"])
def test_a_trained_model_can_be_let_go(kind, pixels, small_data, tasks):
    """TensorFlow keeps for ever what a dataset asks of Python: whoever trains many models would keep all of them."""
    given, preprocessing = {
        "arrays": (pixels, NORMALISE),
        "dataset": ((as_dataset(*pixels),), NORMALISE),
        "training data": ((small_data.train(25, tasks),), None),
        "altered in the dataset": (
            (gssl.data.with_pretext(as_dataset(*pixels), tasks, preprocessing=NORMALISE),),
            None,
        ),
    }[kind]
    model = make(tasks=tasks, preprocessing=preprocessing)
    model.fit(*given, epochs=1, verbose=0)
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None


def test_class_weight_with_training_data(small_data, tasks):
    histories = []
    for class_weight in (None, {0: 1.0, 1: 1.0, 2: 1.0}, {2: 50.0}):
        model = make(tasks=tasks, preprocessing=None)
        fit = model.fit(small_data.train(25, tasks), epochs=1, verbose=0, class_weight=class_weight)
        histories.append(fit.history["class_loss"][0])
    assert histories[0] == pytest.approx(histories[1], rel=1e-5) and histories[2] != pytest.approx(
        histories[0], rel=0.01
    )
    with pytest.raises(ValueError, match="class_weight has the class 7"):
        make(tasks=tasks, preprocessing=None).fit(small_data.train(25, tasks), class_weight={7: 1.0})


@pytest.mark.parametrize("heads", ["cosine", "dense"])
def test_sample_weights_count_as_in_keras_and_may_be_zero(heads, pixels):
    images, labels = pixels
    weights = np.linspace(0, 1, 10, dtype="float32")
    weights[:5] = 0
    model = make(heads, tasks=())
    batch = images[:10], labels[:10]
    outputs = model.class_head(model.features(model.normalised(batch[0]), training=True)).numpy()
    own = model.loss(batch[1], outputs, sample_weight=weights).numpy()
    history = model.fit(*batch, sample_weight=weights, batch_size=10, verbose=0).history
    assert history["class_loss"][0] == pytest.approx(own, rel=1e-4)
    nothing = model.fit(*batch, sample_weight=np.zeros(10), batch_size=10, verbose=0).history
    assert nothing["class_loss"][0] == 0
    assert all(np.isfinite(values).all() for values in model.get_weights())


def test_test_data_fits_a_plain_keras_model(small_data):
    model = make(preprocessing=None)
    plain = model.classifier()
    plain.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    assert 0 <= plain.evaluate(small_data.test(), verbose=0, return_dict=True)["accuracy"] <= 1
    assert plain.predict(small_data.test(), verbose=0).shape == (24, 3)
