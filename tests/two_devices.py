"""Run by test_devices.py in a process of its own: the same short trainings on one and on two logical CPU devices."""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_gssl as gssl
from keras_gssl.devices import strategy_for
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.methods import METHODS
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.training import train
from tests.networks import small_backbone


def fit(strategy, method, file):
    data = gssl.data.digits_lt(0.05)
    tasks = () if method == "sla-sd" else (gssl.Flip(), gssl.LoRotE(), gssl.ShuffleChannels())
    with strategy.scope():
        keras.utils.set_random_seed(0)
        backbone = small_backbone(32)
        if method == "sla-sd":
            model = gssl.SLASDModel(backbone, 10)
        else:
            model = gssl.GatedSSLModel(backbone, 10, tasks, gating=method, ssl_ratio=1.0)
        # Small steps: rounding differs between one and two devices, and large ones would amplify it.
        optimizer = gssl.SGD(1e-3, momentum=0.9, weight_decay=2e-4)
        model.compile(optimizer=optimizer, loss=gssl.LDAMLoss(data.class_counts), metrics=["accuracy"])
    # 369 images: the last batch has 49, which two devices cannot share equally.
    history = model.fit(
        data.train(64, tasks, 0),
        epochs=2,
        callbacks=[gssl.DeferredReweighting(data.class_counts, 1)],
        validation_data=data.test(),
        verbose=0,
    ).history
    weights = {f"weight{index}": weight for index, weight in enumerate(model.get_weights())}
    np.savez(file, **weights, **{f"history_{name}": values for name, values in history.items()})


def fit_arrays(strategy, file):
    """Arrays and sample weights; on two devices then also with tasks, which the step draws for each device anew."""
    data = gssl.data.digits_lt(0.05)
    weights = np.linspace(0, 2, len(data.train_labels)).astype("float32")
    losses = {}
    for name, tasks in {"plain": (), "drawn": (gssl.Flip(), gssl.LoRotE())}.items():
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = gssl.GatedSSLModel(
                small_backbone(32), 10, tasks, preprocessing=gssl.PixelNormalization(data.mean, data.std)
            )
            model.compile(gssl.Muon(1e-3), gssl.LDAMLoss(data.class_counts), metrics=["accuracy"])
        model.class_weights.assign(np.linspace(0.5, 1.5, 10))
        history = model.fit(
            data.train_images, data.train_labels, 64, sample_weight=weights, shuffle=False, epochs=2, verbose=0
        ).history
        assert all(np.isfinite(values).all() for values in history.values())
        if name == "plain":  # what is drawn differs between one and two devices
            losses = {f"history_{key}": values for key, values in history.items()}
    np.savez(file, **losses)


def move_kernels(strategy, file):
    """How far a step of Muon, which has its own way with several devices, moves each kernel."""
    data = gssl.data.digits_lt(0.05)
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = gssl.GatedSSLModel(
            small_backbone(32), 10, (), preprocessing=gssl.PixelNormalization(data.mean, data.std)
        )
        model.compile(gssl.Muon(0.1, kernel_rate=0.5), gssl.LDAMLoss(data.class_counts))
    before = [variable.numpy() for variable in model.trainable_variables]
    model.fit(data.train_images[:64], data.train_labels[:64], 64, epochs=1, verbose=0)
    moved = [variable.numpy() - old for variable, old in zip(model.trainable_variables, before, strict=True)]
    np.savez(file, **{f"moved{at}": each for at, each in enumerate(moved) if each.ndim == 4})


def main(folder, *methods):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    if methods == ("ssp",):  # the whole run, through the settings
        settings = TrainingSettings(**METHODS["ssp"], backbone="resnet8", epochs=1, batch_size=64, devices=2)
        train(settings, gssl.data.digits_lt(0.05), RunFolder(folder / "run"))
        return
    apart = {"arrays": fit_arrays, "kernels": move_kernels}
    for devices in (1, 2):
        strategy = strategy_for(devices)  # one for all: two in a process would mix up what devices tell each other
        for method in methods:
            file = folder / f"{method}-{devices}.npz"
            apart[method](strategy, file) if method in apart else fit(strategy, method, file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
