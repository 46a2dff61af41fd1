"""What is measured, by name: each function returns `round()`, which does a fixed work and returns its seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.inference import FORMATS, IMAGES, inference

BATCH = 128
STEPS = int(os.environ.get("BENCHMARK_STEPS", "40"))
COUNT = STEPS * BATCH
TEST_COUNT = 10_000

Round = Callable[[], float]


def pixels(count: int, side: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Made-up images: speed does not depend on what they show."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, side, side, 3), dtype="uint8")
    return images, np.sort(random.integers(0, 10, count))


def make_data(count: int = COUNT, side: int = 32) -> Any:
    import keras_gssl as gssl

    test = pixels(TEST_COUNT if side == 32 else 10, side)
    return gssl.data.from_arrays(*pixels(count, side), *test)


def make_model(data: Any, precision: str, tasks: Any, stock_norm: bool = False, look_ahead: bool = False) -> Any:
    import keras

    import keras_gssl as gssl
    from keras_gssl.backend import tf
    from keras_gssl.models import backbones

    keras.config.set_dtype_policy(precision)
    if stock_norm:
        backbones.FusedBatchNormalization = keras.layers.BatchNormalization
    extra: dict[str, Any] = {}
    if look_ahead:
        extra = {"gating": "look-ahead", "task_heads": "dense", "draw": gssl.TaskDraw("one", share=0.5)}
    model = gssl.GatedSSLModel(gssl.backbones.resnet32(data.image_shape), 10, tasks, **extra)
    optimizer = gssl.SGD(0.1, momentum=0.9, weight_decay=2e-4)
    steps = STEPS if tf.config.list_physical_devices("GPU") else 1  # as the recipes do
    loss = gssl.LDAMLoss(data.class_counts)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], steps_per_execution=steps)
    return model


def make_tasks() -> Any:
    import keras_gssl as gssl

    return [gssl.Flip(), gssl.LoRotE(), gssl.ShuffleChannels()]


def fit(precision: str = "float32", gated: bool = True, stock_norm: bool = False, look_ahead: bool = False) -> Round:
    """An epoch in `fit`, uint8 images in memory to updated weights."""
    data, tasks = make_data(), make_tasks() if gated else []
    model = make_model(data, precision, tasks, stock_norm, look_ahead)
    return _epochs(model, data.train(BATCH, () if look_ahead else tasks, seed=0))


def recipe(name: str, side: int = 32, count: int = COUNT, **settings: Any) -> Round:
    """An epoch of a named recipe, with three tasks if not said otherwise, as `cifar10_lt --recipe` trains it."""
    from keras_gssl.recipes.cifar_lt import CifarSettings
    from keras_gssl.runs.building import build_model, training_batches
    from keras_gssl.runs.presets import preset_values

    data = make_data(count, side)
    chosen = CifarSettings(**{**preset_values(name, CifarSettings.full_epochs), **settings})
    model = build_model(chosen, data)
    return _epochs(model, training_batches(chosen, data, model))


def _epochs(model: Any, batches: Any) -> Round:
    import keras  # after keras_gssl, which imports TensorFlow quietly

    seconds: list[float] = []

    class Timer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seconds.append(time.perf_counter() - self.start)

    def one_round() -> float:
        model.fit(batches, epochs=1, callbacks=[Timer()], verbose=0)
        return seconds[-1]

    return one_round


def bare_steps(precision: str = "float32") -> Round:
    """The steps of `fit` alone: the same compiled step, on batches that are ready."""
    data, tasks = make_data(), make_tasks()
    model = make_model(data, precision, tasks)
    batches = list(data.train(BATCH, tasks, seed=0).from_epoch(0).take(4))
    model.steps_per_execution = 1  # on a GPU too: each call below brings one batch
    model.make_train_function()

    def one_round() -> float:
        start = time.perf_counter()
        for step in range(STEPS):
            logs = model.train_function(iter([batches[step % len(batches)]]))
        float(logs["loss"])
        return time.perf_counter() - start

    return one_round


def pipeline() -> Round:
    """The input pipeline alone."""
    data, tasks = make_data(), make_tasks()
    iterator = iter(data.train(BATCH, tasks, seed=0).from_epoch(0))

    def one_round() -> float:
        start = time.perf_counter()
        for _ in range(5 * STEPS):
            next(iterator)
        return (time.perf_counter() - start) / 5

    return one_round


def evaluate(precision: str = "float32") -> Round:
    """`evaluate` on 10,000 images."""
    data = make_data()
    model, test = make_model(data, precision, []), data.test()

    def one_round() -> float:
        start = time.perf_counter()
        model.evaluate(test, verbose=0)
        return time.perf_counter() - start

    return one_round


def torch_peer(
    bfloat16: bool = False, channels_last: bool = False, evaluating: bool = False, compiled: bool = False
) -> Round:
    """An epoch, or an evaluation of 10,000 images, of the PyTorch peer."""
    import torch

    from benchmarks.torch_peer import Trainer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    trainer = Trainer(*pixels(COUNT), device, bfloat16, channels_last, BATCH, compiled)
    test = pixels(TEST_COUNT)

    def one_round() -> float:
        start = time.perf_counter()
        if evaluating:
            trainer.evaluate(*test)
        else:
            trainer.epoch()
        return time.perf_counter() - start

    return one_round


#: Name: (function, arguments, images per round).
TRAINING: dict[str, tuple[Callable[..., Round], dict[str, Any], int]] = {
    "train_float32": (fit, {}, COUNT),
    "train_bfloat16": (fit, {"precision": "mixed_bfloat16"}, COUNT),
    "train_float32_stock_norm": (fit, {"stock_norm": True}, COUNT),
    "train_float32_plain_ldam": (fit, {"gated": False}, COUNT),
    "train_bfloat16_plain_ldam": (fit, {"precision": "mixed_bfloat16", "gated": False}, COUNT),
    "train_float32_look_ahead": (fit, {"look_ahead": True}, COUNT),
    "recipe_fast_float32": (recipe, {"name": "fast"}, COUNT),
    "bare_steps_float32": (bare_steps, {}, COUNT),
    "torch_float32": (torch_peer, {}, COUNT),
    "torch_float32_channels_last": (torch_peer, {"channels_last": True}, COUNT),
    "torch_bfloat16_channels_last": (torch_peer, {"bfloat16": True, "channels_last": True}, COUNT),
    "torch_float32_compiled": (torch_peer, {"channels_last": True, "compiled": True}, COUNT),
    "torch_bfloat16_compiled": (torch_peer, {"bfloat16": True, "channels_last": True, "compiled": True}, COUNT),
    "pipeline": (pipeline, {}, COUNT),
    "evaluate_float32": (evaluate, {}, TEST_COUNT),
    "torch_evaluate_float32": (torch_peer, {"evaluating": True}, TEST_COUNT),
}
INFERENCE: dict[str, tuple[Callable[..., Round], dict[str, Any], int]] = {
    f"{kind}_batch_{batch}": (inference, {"kind": kind, "batch": batch}, count // batch * batch)
    for batch, count in IMAGES.items()
    for kind in FORMATS
}
#: How own pictures are trained if nothing is said, in the size and with the network of comparisons and of one run.
OWN: dict[str, Any] = {"name": "fast", "tasks": (), "gating": "none", "augmentations": ("randaugment",)}
OWN_PICTURES: dict[str, tuple[Callable[..., Round], dict[str, Any], int]] = {
    "own_pictures_32": (recipe, {**OWN, "backbone": "resnet14"}, COUNT),
    "own_pictures_64": (recipe, {**OWN, "backbone": "resnet18_imagenet", "side": 64, "count": COUNT // 8}, COUNT // 8),
}
VARIANTS = {**TRAINING, **INFERENCE, **OWN_PICTURES}
#: What is measured together; all processes of a group are alive at once.
GROUPS = (tuple(TRAINING), tuple(INFERENCE), tuple(OWN_PICTURES))
FIRST_STEP = ("train_float32", "train_bfloat16", "torch_float32")
