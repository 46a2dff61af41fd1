"""A person's own task is tried once, before it is built into a model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.pretext.quadrants import NUM_QUADRANTS
from keras_gssl.pretext.tasks import TASKS, PretextTask

LARGEST_SIDE = 32  # of the quadrants that it is tried on: more would take time on large images, and tell no more


def try_tasks(tasks: Sequence[PretextTask], image_shape: Sequence[int | None]) -> None:
    """Alter random pixels with every choice of each task that is not the package's own.

    Args:
        tasks: Tasks.
        image_shape: `(batch, height, width, channels)` of a model's images; unknown sides are taken as 16.

    Raises:
        ValueError: The task changes the shape or the type, gives values that are not finite, or labels that it says it
            does not have.
    """
    for task in tasks:
        given_with_the_data = type(task).transform is PretextTask.transform
        if type(task) not in TASKS.values() and not given_with_the_data:
            _try(task, image_shape)


def _try(task: PretextTask, image_shape: Sequence[int | None]) -> None:
    height, channels = image_shape[1] or 16, image_shape[-1] or 3
    side = min(height // 2, LARGEST_SIDE)
    name = type(task).__name__
    choices = np.repeat(np.arange(task.num_choices, dtype="int32"), NUM_QUADRANTS)
    positions = np.tile(np.arange(NUM_QUADRANTS, dtype="int32"), task.num_choices)
    shape = (len(choices), side, side, channels)
    patches = tf.constant(np.random.default_rng(0).uniform(0, 1, shape).astype("float32"))
    altered = tf.convert_to_tensor(task.transform(patches, tf.constant(choices)))
    if tuple(altered.shape) != shape or altered.dtype != patches.dtype:
        raise ValueError(
            f"{name}.transform must return quadrants of the shape and type it is given, here {shape} of float32; it "
            f"returned {tuple(altered.shape)} of {altered.dtype.name}."
        )
    if not np.isfinite(altered.numpy()).all():
        raise ValueError(f"{name}.transform makes pixels that are not finite (nan or inf) out of pixels from 0 to 1.")
    labels = np.asarray(task.labels(tf.constant(choices), tf.constant(positions)))
    if labels.shape != choices.shape or labels.min() < 0 or labels.max() >= task.num_labels:
        raise ValueError(
            f"{name}.labels must give one label from 0 to {task.num_labels - 1} (num_labels) for each image; it gave "
            f"{labels.min()} to {labels.max()} of shape {labels.shape} for {len(choices)} images."
        )
