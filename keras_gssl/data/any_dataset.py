"""Pretext tasks on any `tf.data` pipeline."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.data.pipeline import CLASS_KEY, PARALLEL_CALLS, TASKS, draw_seed
from keras_gssl.data.tracing import as_written
from keras_gssl.pretext.draw import TaskDraw
from keras_gssl.pretext.tasks import PretextTask, check_tasks


def with_pretext(
    dataset: tf.data.Dataset,
    tasks: Sequence[PretextTask],
    seed: int = 0,
    preprocessing: Callable[[tf.Tensor], tf.Tensor] | None = None,
    draw: TaskDraw | None = None,
) -> tf.data.Dataset:
    """Alter one quadrant of every training image of a pipeline, and add the labels of what was done.

    `GatedSSLModel.fit` does the same by itself for datasets of images and class labels; this is for those who want it
    done in the pipeline, on the CPU beside a training GPU, or for a model of their own.

    Args:
        dataset: Batches of `(images, labels)` or `(images, labels, weights)`.
        tasks: Pretext tasks, in the order in which they act.
        seed: Every pass over the dataset draws anew; two pipelines with one seed draw the same in their n-th pass.
        preprocessing: Applied to the images first, such as the model's `PixelNormalization`; channels are to be
            shuffled after normalisation. Leave it out where the dataset is normalised.
        draw: How tasks and quadrants are drawn; every pass counts as epoch 0.

    Returns:
        Batches of `(images, {"class": labels, "<task>": labels, ...})`, and the weights if there are any.

    Example:

    >>> tasks = [gssl.Flip(), gssl.LoRotE()]
    >>> images, labels = np.zeros((8, 16, 16, 3), "float32"), np.arange(8) % 2
    >>> plain = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    >>> _, altered = next(iter(gssl.data.with_pretext(plain, tasks)))
    >>> sorted(altered)
    ['class', 'flip', 'lorot']
    """
    tasks = check_tasks(tasks)
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            f"with_pretext needs batches of (images, labels) or (images, labels, weights); received {spec}."
        )
    if spec[0].shape.rank != 4:
        raise ValueError(
            f"with_pretext needs batches of images, shape (batch, height, width, channels); received {spec[0].shape}: "
            f"call dataset.batch(...) first."
        )

    def alter(batch: tuple[Any, ...], number: tf.Tensor) -> tuple[Any, ...]:
        images, labels, *weights = batch
        images = images if preprocessing is None else preprocessing(images)
        images, drawn = (draw or TaskDraw())(images, tasks, draw_seed(seed, TASKS, number))
        return (images, {CLASS_KEY: labels, **drawn}, *weights)

    traced = as_written(alter, *tasks, draw, preprocessing)
    altered = tf.data.Dataset.zip((dataset, _numbers())).map(traced, PARALLEL_CALLS, deterministic=True)
    if dataset.cardinality() != tf.data.UNKNOWN_CARDINALITY:  # which is lost where the numbers of batches come in
        altered = altered.apply(tf.data.experimental.assert_cardinality(dataset.cardinality()))
    return altered.prefetch(tf.data.AUTOTUNE)


def _numbers() -> tf.data.Dataset:
    """Numbers of batches that differ from pass to pass: what followed from the position alone would be drawn again."""
    passes = itertools.count()

    def one_pass(_: tf.Tensor) -> tf.data.Dataset:
        first = tf.numpy_function(lambda: np.int64(next(passes) << 32), [], tf.int64)
        return tf.data.Dataset.range(tf.ensure_shape(first, ()), tf.int64.max)

    return tf.data.Dataset.from_tensors(0).flat_map(as_written(one_pass))
