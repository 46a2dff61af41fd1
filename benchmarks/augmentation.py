"""Images per second of each augmentation, beside the layers of Keras that do the like, in interleaved rounds.

python -m benchmarks.augmentation                  # about two minutes on two cores
python -m benchmarks.augmentation --only AutoAugment RandAugment --rounds 9

"tf.data" is a data set that augments in two parallel calls, "tf.function" one compiled graph called again and again.
Keras draws the operations of its RandAugment once for a whole batch; here each image has its own.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH, SIDE, PARALLEL_CALLS = 128, 32, 2
#: Name: the augmentation of Keras beside it.
PEERS = {
    "crop and mirror": "keras RandomCrop, RandomFlip",
    "AutoAugment": "",
    "RandAugment": "keras RandAugment",
    "Cutout": "keras RandomErasing",
    "RandomResizedCrop": "keras RandomZoom",
    "autocontrast": "keras AutoContrast",
    "equalize": "keras Equalization",
}


def augmentations() -> dict[str, Callable[[Any, Any], Any]]:
    """All that is measured: functions of uint8 images and a seed, to uint8 images."""
    import keras
    import tensorflow as tf

    from keras_gssl.data import AutoAugment, Cutout, RandAugment, RandomResizedCrop
    from keras_gssl.data.augmentations import colour
    from keras_gssl.data.augmentations.shifts import random_crop, random_mirror

    def crop_and_mirror(images: Any, seed: Any) -> Any:
        return random_mirror(random_crop(images, 4, seed, seed + 1), seed + 2)

    def stock(*layers: Any) -> Callable[[Any, Any], Any]:
        def apply(images: Any, seed: Any) -> Any:
            images = tf.cast(images, tf.float32)
            for layer in layers:
                images = layer(images, training=True)
            return tf.cast(images, tf.uint8)

        return apply

    return {
        "crop and mirror": crop_and_mirror,
        "keras RandomCrop, RandomFlip": stock(
            keras.layers.ZeroPadding2D(4), keras.layers.RandomCrop(SIDE, SIDE), keras.layers.RandomFlip("horizontal")
        ),
        "AutoAugment": AutoAugment(),
        "RandAugment": RandAugment(2, 9),
        "keras RandAugment": stock(keras.layers.RandAugment(num_ops=2, factor=0.3)),
        "Cutout": Cutout(16),
        "keras RandomErasing": stock(keras.layers.RandomErasing(scale=(0.25, 0.25), fill_value=0.0)),
        "RandomResizedCrop": RandomResizedCrop(),
        "keras RandomZoom": stock(keras.layers.RandomZoom((-0.5, 0.0), (-0.5, 0.0))),
        "autocontrast": lambda images, seed: colour.look_up(images, colour.autocontrast(colour.histogram(images))),
        "keras AutoContrast": stock(keras.layers.AutoContrast()),
        "equalize": lambda images, seed: colour.look_up(images, colour.equalize(colour.histogram(images))),
        "keras Equalization": stock(keras.layers.Equalization()),
    }


class InDataSet:
    """An endless data set of augmented batches."""

    def __init__(self, augment: Callable[[Any, Any], Any], images: np.ndarray):
        import tensorflow as tf

        def batch(number: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
            return augment(images, tf.stack([tf.constant(1, tf.int64), number]))

        data = tf.data.Dataset.from_tensors(images).repeat().enumerate()
        self._batches = iter(data.map(batch, num_parallel_calls=PARALLEL_CALLS))

    def __call__(self) -> None:
        next(self._batches)


class InFunction:
    """A graph that is called for one batch after the other."""

    def __init__(self, augment: Callable[[Any, Any], Any], images: np.ndarray):
        import tensorflow as tf

        self._augment, self._images, self._number = tf.function(augment), tf.constant(images), 0

    def __call__(self) -> None:
        import tensorflow as tf

        self._number += 1
        self._augment(self._images, tf.constant([1, self._number], tf.int64)).numpy()


def images_per_second(run: Callable[[], None], seconds: float) -> float:
    # What was made ahead, while others were measured, does not count.
    for _ in range(2 * PARALLEL_CALLS):
        run()
    start, batches = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run()
        batches += 1
    return batches * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmentation", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--only", nargs="+", choices=PEERS, default=list(PEERS), help="what is measured, peers included"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.8, help="of each measurement")
    arguments = parser.parse_args()

    from benchmarks.__main__ import machine

    about = machine()
    names = [name for each in arguments.only for name in (each, PEERS[each]) if name]
    available = augmentations()
    images = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, 3), dtype="uint8")
    runs = {(name, kind): kind(available[name], images) for name in names for kind in (InDataSet, InFunction)}
    rounds: dict[Any, list[float]] = {key: [] for key in runs}
    for _ in range(arguments.rounds):
        for key, run in runs.items():
            rounds[key].append(images_per_second(run, arguments.seconds))

    versions = ", ".join(f"{name} {about['versions'][name]}" for name in ("tensorflow", "keras", "numpy"))
    print(f"{about['hardware']}; Python {about['python']}, {versions}")
    print(
        f"batches of {BATCH} images of {SIDE}x{SIDE}x3; images/s, median (least to most) of {arguments.rounds} rounds"
    )
    print(f"{'':<30}{'tf.data, 2 parallel calls':>32}{'tf.function':>32}")
    for name in names:
        cells = [rounds[name, kind] for kind in (InDataSet, InFunction)]
        shown = [f"{statistics.median(cell):,.0f} ({min(cell):,.0f} to {max(cell):,.0f})" for cell in cells]
        print(f"{name:<30}{shown[0]:>32}{shown[1]:>32}")


if __name__ == "__main__":
    main()
