"""Which images are altered, by which tasks, on which quadrant."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import SHARE, WHOLE
from keras_gssl.choices import PLACEMENTS
from keras_gssl.configured import Configured
from keras_gssl.draws import whole_numbers
from keras_gssl.pretext.quadrants import NUM_QUADRANTS, join, replace, split, take
from keras_gssl.pretext.tasks import PretextTask

#: The label of a task that was not applied to an image: there is no loss for it.
NOT_APPLIED = -1


_ORDERS = tuple(itertools.permutations(range(NUM_QUADRANTS)))
_SHARES = 1 << 16  # probabilities are compared as whole numbers, which XLA draws as the CPU does
_EXTRA = 40  # first words of the seeds of draws beyond those of positions and choices

Altered = tuple[tf.Tensor, dict[str, tf.Tensor]]


@keras.saving.register_keras_serializable(package="keras_gssl")
class TaskDraw(Configured):
    """How quadrants and tasks are drawn for a batch.

    Flip and rotation on one quadrant hide each other: reversing the rows is half a turn of the mirror image, and
    pictures are mirrored at random anyway, so `k` turns with a flip and `k + 2` turns without one look alike but for
    the seams. `"one"` and `"apart"` keep them apart.

    Args:
        placement: `"together"`: every task acts on the same quadrant (the paper). `"one"`: an image gets one task.
            `"apart"`: every task has a quadrant of its own; at most 4 tasks.
        share: Share of the images that are altered; the others are left as they are, and have no pretext loss.
        until_epoch: Epochs from this one on, counted from 0, are left unaltered. None alters all.

    Example, of eight images about half are altered, each by one task:

    >>> draw = gssl.TaskDraw("one", share=0.5)
    >>> images, labels = draw(tf.zeros((8, 4, 4, 3)), [gssl.Flip(), gssl.LoRotE()], seed=[0, 0])
    >>> bool(tf.reduce_all((labels["flip"] == -1) | (labels["lorot"] == -1)))
    True
    """

    def __init__(self, placement: str = "together", share: float = 1.0, until_epoch: int | None = None):
        if placement not in PLACEMENTS:
            raise ValueError(f"placement must be one of {', '.join(map(repr, PLACEMENTS))}; received {placement!r}.")
        SHARE.check("share", share)
        if until_epoch is not None:
            WHOLE.check("until_epoch", until_epoch)
        self.placement, self.share, self.until_epoch = placement, share, until_epoch

    def __call__(
        self,
        images: tf.Tensor,
        tasks: Sequence[PretextTask],
        seed: Any,
        epoch: tf.Tensor | int = 0,
        chances: tf.Tensor | None = None,
    ) -> Altered:
        """Alter a batch.

        Args:
            images: Shape `(batch, side, side, channels)`, any dtype.
            tasks: Tasks, in the order in which they act.
            seed: int32 or int64, shape `(2,)`. The result is a pure function of it; its first word is counted up.
            epoch: Counted from 0, for `until_epoch`.
            chances: Shape `(batch, tasks)`: each image's probability to get each task, in place of `share` and of equal
                parts of it. With `"one"` a row sums to at most 1; else every task is drawn by itself.

        Returns:
            The altered images, and each task's labels by its name; `-1` where it was not applied.
        """
        batch, count = tf.shape(images)[0], len(tasks)
        if self.placement == "apart" and count > NUM_QUADRANTS:
            raise ValueError(f"placement='apart' gives every task one of {NUM_QUADRANTS} quadrants, received {count}.")

        def draw(index: int, below: int, *more: int) -> tf.Tensor:
            return whole_numbers(seed, index, (batch, *more), below)

        position = draw(0, NUM_QUADRANTS)
        choices = [draw(index, task.num_choices) for index, task in enumerate(tasks, start=1)]
        if self.placement == "together" and self.share == 1 and chances is None and self.until_epoch is None:
            return apply_tasks(images, tasks, position, choices)
        applied = self._applied(draw, count, chances)
        if self.until_epoch is not None:
            applied &= tf.cast(epoch, tf.int64) < self.until_epoch
        positions = tf.tile(position[:, tf.newaxis], (1, count))
        if self.placement == "apart":
            positions = tf.gather(tf.constant(_ORDERS, tf.int32), draw(_EXTRA, len(_ORDERS)))[:, :count]
        return apply_each(images, tasks, positions, choices, applied)

    def _applied(self, draw: Any, count: int, chances: tf.Tensor | None) -> tf.Tensor:
        """Which tasks act on which image, bool, shape `(batch, tasks)`."""
        if self.placement == "one":
            chances = tf.fill((1, count), self.share / count) if chances is None else chances
            number = draw(_EXTRA + 1, _SHARES)[:, tf.newaxis]
            upper, lower = (_whole(tf.cumsum(chances, axis=1, exclusive=exclusive)) for exclusive in (False, True))
            return (number >= lower) & (number < upper)
        if chances is None:  # an image gets all tasks or none
            return tf.tile(draw(_EXTRA + 1, _SHARES)[:, tf.newaxis] < round(self.share * _SHARES), (1, count))
        return draw(_EXTRA + 1, _SHARES, count) < _whole(chances)

    def get_config(self) -> dict[str, Any]:
        return {"placement": self.placement, "share": self.share, "until_epoch": self.until_epoch}


def _whole(chances: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.cast(chances, tf.float32) * _SHARES), tf.int32)


def apply_tasks(
    images: tf.Tensor, tasks: Sequence[PretextTask], positions: tf.Tensor, choices: Sequence[tf.Tensor]
) -> Altered:
    """Alter one quadrant of every image by all tasks in turn.

    Args:
        images: Shape `(batch, side, side, channels)`, any dtype.
        tasks: Tasks, in the order in which they act (the paper's is flip, rotation, channels). All act on the same
            quadrant.
        positions: int32, shape `(batch,)`: the quadrant of every image.
        choices: For each task, int32 of shape `(batch,)`.

    Returns:
        The altered images, and each task's labels by its name.
    """
    parts = split(images)
    patches = take(parts, positions)
    labels = {}
    for task, choice in zip(tasks, choices, strict=True):
        patches = task.transform(patches, choice)
        labels[task.name] = task.labels(choice, positions)
    return join(replace(parts, positions, patches)), labels


def apply_each(
    images: tf.Tensor,
    tasks: Sequence[PretextTask],
    positions: tf.Tensor,
    choices: Sequence[tf.Tensor],
    applied: tf.Tensor,
) -> Altered:
    """Alter images by the tasks that are applied to them, each task on the quadrant that it has there.

    Args:
        images, tasks, choices: As for `apply_tasks`.
        positions: int32, shape `(batch, tasks)`.
        applied: bool, shape `(batch, tasks)`.

    Returns:
        The altered images, and each task's labels by its name, `NOT_APPLIED` where it was not applied.
    """
    parts, labels = split(images), {}
    for index, (task, choice) in enumerate(zip(tasks, choices, strict=True)):
        position, here = positions[:, index], applied[:, index]
        patches = take(parts, position)
        altered = tf.where(here[:, tf.newaxis, tf.newaxis, tf.newaxis], task.transform(patches, choice), patches)
        parts = replace(parts, position, altered)
        labels[task.name] = tf.where(here, task.labels(choice, position), NOT_APPLIED)
    return join(parts), labels


def draw_and_apply(images: tf.Tensor, tasks: Sequence[PretextTask], seed: Any) -> Altered:
    """The paper's draw: one quadrant and one choice per task for every image, uniformly and independently."""
    return TaskDraw()(images, tasks, seed)
