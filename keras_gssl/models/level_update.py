"""Moves the levels of a `LevelSteering` after every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import BELOW_ONE, COUNT
from keras_gssl.data.pipeline import TrainingSet, draw_seed
from keras_gssl.pretext.steering import LevelSteering, chosen

_DRAWS = 400  # first word of the seeds; the input pipeline's own draws use smaller numbers
_CHUNK = 500


class LevelUpdate(keras.callbacks.Callback):
    """After every epoch: a class that can still be told at every level up to its own goes one level up, else one down.

    At each level, `per_level * (level + 1)` training images of the class, drawn with replacement, get as many tasks as
    the level says and are classified. More than `threshold` of them must be right.

    Args:
        training_set: What the model is trained on, `data.train(...)`.
        per_level: See above.
        threshold: See above.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> tasks = [gssl.Flip(), gssl.LoRotE()]
    >>> model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), 10, tasks, steering="levels", heads="dense")
    >>> model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> batches = data.train(batch_size=64)
    >>> history = model.fit(batches, epochs=1, verbose=0, callbacks=[gssl.LevelUpdate(batches)])

    Reference:
        "CUDA: Curriculum of Data Augmentation for Long-Tailed Recognition" (ICLR 2023), algorithm 2.
    """

    def __init__(self, training_set: TrainingSet, per_level: int = 10, threshold: float = 0.6):
        super().__init__()
        COUNT.check("per_level", per_level)
        BELOW_ONE.check("threshold", threshold)
        self.training_set, self.per_level, self.threshold = training_set, per_level, threshold

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        steering = getattr(self.model, "steering", None)
        if not isinstance(steering, LevelSteering):
            raise ValueError(f"LevelUpdate needs a model with steering='levels', received steering={steering!r}.")
        levels = keras.ops.convert_to_numpy(steering.levels).astype(int)
        classes, tried = self._trials(levels)
        hits = self._hits(classes, tried, epoch)
        passed = np.ones(len(levels), bool)
        for level in range(levels.max() + 1):
            here = tried == level
            share = np.bincount(classes[here], hits[here], len(levels)) / (self.per_level * (level + 1))
            passed &= (share > self.threshold) | (level > levels)
        steering.move(passed)
        if logs is not None:
            logs["level"] = float(keras.ops.convert_to_numpy(steering.levels).mean())

    def _trials(self, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class and level of every image that is to be tried."""
        pairs = [
            (index, level)
            for index, own in enumerate(levels)
            for level in range(own + 1)
            for _ in range(self.per_level * (level + 1))
        ]
        classes, tried = np.array(pairs).T
        return classes, tried

    def _hits(self, classes: np.ndarray, tried: np.ndarray, epoch: int) -> np.ndarray:
        random = np.random.default_rng((self.training_set.seed, epoch))
        of_class = [np.flatnonzero(self.training_set.labels == index) for index in range(classes.max() + 1)]
        images = np.array([random.choice(of_class[index]) for index in classes])
        hits = []
        for number, start in enumerate(range(0, len(images), _CHUNK)):
            part = slice(start, start + _CHUNK)
            seed = draw_seed(self.training_set.seed, _DRAWS + number, epoch)
            wanted = chosen(tf.constant(tried[part, np.newaxis], tf.float32), len(self.model.tasks), seed)
            pixels = self.training_set.unaugmented(images[part])
            altered, _ = self.model.draw(pixels, self.model.tasks, seed, 0, wanted)
            told = keras.ops.argmax(self.model.class_outputs(altered), axis=-1)
            hits.append(keras.ops.convert_to_numpy(told) == classes[part])
        return np.concatenate(hits).astype(float)
