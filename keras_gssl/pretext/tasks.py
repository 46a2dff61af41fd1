"""Localizable pretext tasks: what is done to one quadrant of an image, and the label that says what was done."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, tf
from keras_gssl.configured import Configured
from keras_gssl.pretext.quadrants import NUM_QUADRANTS

CHANNEL_ORDERS = tuple(itertools.permutations(range(3)))


class PretextTask(Configured):
    """One way to alter a quadrant such that a small head can tell what was done.

    A task of your own is a subclass with `num_choices` and `transform`. It then works everywhere: in the input
    pipeline, as a head of `GatedSSLModel`, in the gate, in the metrics and in saved models (register it, as below,
    so that a saved model can find it).

    Args:
        name: Key of the task in labels, losses and metrics. Defaults to the class name in snake case.

    Attributes:
        num_choices: How many alterations there are; one is drawn uniformly for every image.
        num_labels: How many classes the head tells apart. Defaults to `num_choices`.

    Example:

    >>> @keras.saving.register_keras_serializable(package="my_project")
    ... class CutOut(gssl.PretextTask):
    ...     num_choices = 2
    ...     def transform(self, patches, choices):
    ...         keep = tf.cast(choices == 0, patches.dtype)
    ...         return patches * keep[:, None, None, None]

    Reference:
        "Gated Self-Supervised Learning for Improving Supervised Learning" (arXiv 2301.05865), section 3.
    """

    num_choices: int = 0

    def __init__(self, name: str | None = None):
        self.name = name or re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name) or self.name in ("class", "loss"):
            raise ValueError(
                f"A task's name becomes part of metric names: expected lower-case letters, digits and underscores, "
                f"not 'class' or 'loss'; received {self.name!r}."
            )
        if self.num_choices < 2:
            raise ValueError(
                f"{type(self).__name__}.num_choices must be at least 2, received {self.num_choices}: "
                f"set it as a class attribute to the number of alterations."
            )

    @property
    def num_labels(self) -> int:
        return self.num_choices

    def transform(self, patches: tf.Tensor, choices: tf.Tensor) -> tf.Tensor:
        """Alter quadrants.

        Args:
            patches: Quadrants, shape `(batch, side, side, channels)`, any dtype.
            choices: int32, shape `(batch,)`, values in `[0, num_choices)`.

        Returns:
            Altered quadrants, same shape and dtype.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement transform(patches, choices).")

    def labels(self, choices: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """What the head has to predict, in `[0, num_labels)`; by default the choice itself.

        Args:
            choices: int32, shape `(batch,)`.
            positions: int32, shape `(batch,)`: which quadrant was altered (0-3).
        """
        return choices

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments; extend it when a subclass has arguments of its own."""
        return {"name": self.name}


@keras.saving.register_keras_serializable(package="keras_gssl")
class LoRotE(PretextTask):
    """Rotate the quadrant by 0, 90, 180 or 270 degrees counter-clockwise; tell quadrant and angle apart (16 labels).

    The label is `4 * position + quarter_turns`.

    Reference:
        LoRot-E in "Tailoring Self-Supervision for Supervised Learning" (ECCV 2022).
    """

    num_choices = 4

    def __init__(self, name: str = "lorot"):
        super().__init__(name)

    @property
    def num_labels(self) -> int:
        return NUM_QUADRANTS * self.num_choices

    def transform(self, patches: tf.Tensor, choices: tf.Tensor) -> tf.Tensor:
        return rotate(patches, choices)

    def labels(self, choices: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        return self.num_choices * positions + choices


@keras.saving.register_keras_serializable(package="keras_gssl")
class Flip(PretextTask):
    """Flip the quadrant or leave it (2 labels).

    Args:
        axis: `"rows"` reverses the order of the rows (up-down, the paper's choice for CIFAR and its Table 2);
            `"columns"` reverses left-right, as the authors' released Tiny-ImageNet scripts do.
    """

    num_choices = 2

    def __init__(self, axis: str = "rows", name: str = "flip"):
        super().__init__(name)
        if axis not in ("rows", "columns"):
            raise ValueError(f"Flip(axis=...) must be 'rows' or 'columns', received {axis!r}.")
        self.axis = axis

    def transform(self, patches: tf.Tensor, choices: tf.Tensor) -> tf.Tensor:
        flip = tf.image.flip_up_down if self.axis == "rows" else tf.image.flip_left_right
        return _where(choices == 1, flip(patches), patches)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_gssl")
class ShuffleChannels(PretextTask):
    """Permute the three colour channels of the quadrant (6 labels, in the order of `itertools.permutations`)."""

    num_choices = len(CHANNEL_ORDERS)

    def __init__(self, name: str = "channels"):
        super().__init__(name)

    def transform(self, patches: tf.Tensor, choices: tf.Tensor) -> tf.Tensor:
        if patches.shape[-1] != 3:
            raise ValueError(
                f"ShuffleChannels needs images with 3 colour channels, received {patches.shape[-1]}: "
                f"convert greyscale images with tf.image.grayscale_to_rgb or leave this task out."
            )
        orders = tf.gather(tf.constant(CHANNEL_ORDERS, tf.int32), choices)
        return tf.gather(
            patches,
            orders[:, tf.newaxis, tf.newaxis, :] + tf.zeros_like(patches[..., :1], tf.int32),
            axis=3,
            batch_dims=3,
        )


#: The tasks above by name, in the order in which the paper applies them.
TASKS: dict[str, type[PretextTask]] = {"flip": Flip, "lorot": LoRotE, "channels": ShuffleChannels}


def make_tasks(names: Sequence[str], flip_axis: str = "rows") -> list[PretextTask]:
    """Tasks by name, in the order in which they act, whatever order they were named in.

    Args:
        names: Keys of `TASKS`.
        flip_axis: See `Flip`.
    """
    unknown = [name for name in names if name not in TASKS]
    if unknown:
        raise ValueError(f"tasks must be among {', '.join(TASKS)}; received {unknown[0]!r}.")
    return [Flip(flip_axis) if kind is Flip else kind() for name, kind in TASKS.items() if name in names]


def rotate(images: tf.Tensor, quarter_turns: tf.Tensor) -> tf.Tensor:
    """Rotate square images counter-clockwise.

    Args:
        images: Shape `(batch, side, side, channels)`, any dtype.
        quarter_turns: int32, shape `(batch,)`, values 0-3.
    """
    # One quarter turn is transpose, then flip the rows; two are both flips; three are transpose, then flip columns.
    images = _where(quarter_turns % 2 == 1, tf.image.transpose(images), images)
    images = _where((quarter_turns == 1) | (quarter_turns == 2), tf.image.flip_up_down(images), images)
    return _where(quarter_turns >= 2, tf.image.flip_left_right(images), images)


def check_tasks(tasks: Sequence[PretextTask]) -> tuple[PretextTask, ...]:
    """Raise a readable error unless `tasks` is a sequence of differently named tasks."""
    tasks = tuple(tasks)
    for task in tasks:
        if not isinstance(task, PretextTask):
            raise ValueError(f"tasks must be PretextTask objects such as gssl.Flip(), received {task!r}.")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise ValueError(f"Two tasks share a name: {names}. Give one another name, for example Flip(name='flip_2').")
    return tasks


def _where(condition: tf.Tensor, if_true: tf.Tensor, if_false: tf.Tensor) -> tf.Tensor:
    """Choose per image."""
    return tf.where(condition[:, tf.newaxis, tf.newaxis, tf.newaxis], if_true, if_false)
