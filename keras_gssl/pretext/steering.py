"""Steering the draw: which task an image of a class gets, and how often none.

What moves the accuracy is first of all the alteration itself, so it is worth asking what each class can bear: half a
turn makes a 6 a 9, other colours make one flower another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_gssl.backend import keras, ops, tf
from keras_gssl.bounds import ABOVE_ZERO, FACTOR, NOT_NEGATIVE, SHARE
from keras_gssl.draws import whole_numbers


class Steering(keras.layers.Layer):
    """Base: gives each image's chance to get each task, from its class.

    Args:
        num_classes: Number of classes; a model that is given the steering sets it, and `num_tasks`.

    Attributes:
        placement: What `TaskDraw` has to be made for.
        looks_ahead: Whether it learns from looks ahead, in `take`.
    """

    placement = "one"
    looks_ahead = False

    num_tasks: Any  # an int, once a model has it

    def __init__(self, num_classes: int | None = None, num_tasks: int | None = None, name: str = "steering"):
        super().__init__(name=name, trainable=False, dtype="float32")
        self.num_classes, self.num_tasks = num_classes, num_tasks

    def chances(self, classes: Any, seed: Any) -> Any:
        """Chances of shape `(batch, tasks)`, for class indices of shape `(batch,)` and the seed of the batch."""
        raise NotImplementedError(f"{type(self).__name__} must implement chances(classes, seed).")

    def get_config(self) -> dict[str, Any]:
        return {"num_classes": self.num_classes, "num_tasks": self.num_tasks, "name": self.name}


@keras.saving.register_keras_serializable(package="keras_gssl")
class LookAheadSteering(Steering):
    """Prefers, class by class, the alterations whose images teach what lowers the class loss.

    The worth of an image as it was drawn (with one task, or none) is the directional derivative of its class loss along
    v, the running mean of the gradient of the class-balanced class loss on unaltered images. Means of it are kept for
    each class and task, and for no task; a class with few images is drawn towards the mean over all classes. An image
    then gets task n with probability `softmax(worth / (temperature * spread))`, the spread being the standard
    deviation of single images of the class.

    Args:
        num_classes, num_tasks: Set by the model.
        temperature: How strongly a worth is preferred to a smaller one.
        memory: Share of what is known that stays from look to look.
        prior: So many images of all classes stand beside a class's own.
        explore: Share of the images that get a task, or none, without regard to what is known: what is never drawn
            would never be found to have become bearable.

    Reference:
        Ours; per class as in "CUDA" (ICLR 2023).
    """

    looks_ahead = True

    def __init__(
        self,
        num_classes: int | None = None,
        num_tasks: int | None = None,
        temperature: float = 0.1,
        memory: float = 0.99,
        prior: float = 50.0,
        explore: float = 0.05,
        **kwargs: Any,
    ):
        super().__init__(num_classes, num_tasks, **kwargs)
        ABOVE_ZERO.check("temperature", temperature)
        FACTOR.check("memory", memory)
        NOT_NEGATIVE.check("prior", prior)
        SHARE.check("explore", explore)
        self.temperature, self.memory, self.prior, self.explore = temperature, memory, prior, explore

    def build(self, input_shape: Any = None) -> None:
        shape = (self.num_classes, self.num_tasks + 1)
        self.counts, self.totals, self.squares = (
            self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
            for name in ("counts", "totals", "squares")
        )
        super().build(input_shape)

    def take(self, classes: Any, applied: Any, worth: Any) -> None:
        """Learn from one look ahead.

        Args:
            classes: Class indices, shape `(batch,)`.
            applied: 1 where a task was applied, shape `(batch, tasks)`, at most one in a row.
            worth: Shape `(batch,)`.
        """
        arms = ops.concatenate([applied, 1 - ops.sum(applied, axis=1, keepdims=True)], axis=1)
        of_class = ops.transpose(ops.one_hot(classes, self.num_classes, dtype="float32"))
        for memory, values in ((self.counts, ops.ones_like(worth)), (self.totals, worth), (self.squares, worth**2)):
            memory.assign(self.memory * memory + ops.matmul(of_class, arms * values[:, None]))

    def worth(self) -> Any:
        """What is known: worth of each task and of none, in units of the spread, shape `(classes, tasks + 1)`."""
        counts, totals, squares = (ops.convert_to_tensor(each) for each in (self.counts, self.totals, self.squares))
        seen = ops.maximum(ops.sum(counts, axis=1, keepdims=True), 1.0)
        mean = ops.sum(totals, axis=1, keepdims=True) / seen
        spread = ops.sqrt(ops.maximum(ops.sum(squares, axis=1, keepdims=True) / seen - mean**2, 1e-30))
        # In units of the class's own spread, so that classes can be added up.
        gained = (totals - counts * mean) / spread
        common = ops.sum(gained, axis=0) / ops.maximum(ops.sum(counts, axis=0), 1.0)
        return (gained + self.prior * common) / (counts + self.prior + 1e-6)

    def chances(self, classes: Any, seed: Any = None) -> Any:
        preferred = ops.softmax(self.worth() / self.temperature, axis=1)
        by_class = (1 - self.explore) * preferred + self.explore / (self.num_tasks + 1)
        return ops.take(by_class[:, :-1], classes, axis=0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "memory": self.memory,
            "prior": self.prior,
            "explore": self.explore,
        }


@keras.saving.register_keras_serializable(package="keras_gssl")
class LevelSteering(Steering):
    """As many tasks per image as its class can bear: a level for each class, moved after every epoch.

    With probability `share` an image gets as many tasks as its class' level says, each on a quadrant of its own, drawn
    at random. `keras_gssl.callbacks.LevelUpdate` moves the levels.

    Args:
        num_classes, num_tasks: Set by the model; the highest level is the number of tasks.
        share: Share of the images that are altered.

    Reference:
        "CUDA: Curriculum of Data Augmentation for Long-Tailed Recognition" (ICLR 2023), section 3, with quadrants in
        place of its operations.
    """

    placement = "apart"

    def __init__(self, num_classes: int | None = None, num_tasks: int | None = None, share: float = 0.5, **kwargs: Any):
        super().__init__(num_classes, num_tasks, **kwargs)
        self.share = SHARE.check("share", share)

    def build(self, input_shape: Any = None) -> None:
        self.levels = self.add_weight(
            shape=(self.num_classes,), initializer="zeros", trainable=False, name="levels", dtype="float32"
        )
        super().build(input_shape)

    def chances(self, classes: Any, seed: Any) -> Any:
        drawn = whole_numbers(seed, 0, (tf.shape(classes)[0], 1), 1 << 16)
        levels = ops.take(ops.convert_to_tensor(self.levels), classes)[:, None]
        return ops.cast(drawn < round(self.share * (1 << 16)), "float32") * chosen(levels, self.num_tasks, seed)

    def move(self, passed: Any) -> None:
        """A class that passed goes one level up, another one down, between 0 and the number of tasks."""
        step = np.where(np.asarray(passed), 1.0, -1.0)
        self.levels.assign(np.clip(ops.convert_to_numpy(self.levels) + step, 0, self.num_tasks))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "share": self.share}


def chosen(levels: Any, num_tasks: int, seed: Any) -> Any:
    """For each image `levels` tasks drawn at random, as 0 and 1 of shape `(batch, tasks)`."""
    numbers = whole_numbers(seed, 1, (tf.shape(levels)[0], num_tasks), 1 << 30)
    ranks = tf.argsort(tf.argsort(numbers, axis=1), axis=1)
    return ops.cast(tf.cast(ranks, tf.float32) < levels, "float32")


#: Kinds of steering by name.
STEERING: dict[str, type[Steering]] = {"look-ahead": LookAheadSteering, "levels": LevelSteering}


def make_steering(steering: str | Steering | None, num_classes: int, num_tasks: int) -> Steering | None:
    """The steering of that name, or the one given, built for a model; None for none."""
    if steering is None or steering == "none":
        return None
    if isinstance(steering, str) and steering in STEERING:
        steering = STEERING[steering]()
    if not isinstance(steering, Steering):
        known = ", ".join(map(repr, STEERING))
        raise ValueError(f"steering must be one of {known}, a Steering object or None; received {steering!r}.")
    if steering.num_classes not in (None, num_classes) or steering.num_tasks not in (None, num_tasks) or not num_tasks:
        raise ValueError(
            f"The steering was made for {steering.num_classes} classes and {steering.num_tasks} tasks, the model has "
            f"{num_classes} and {num_tasks}."
        )
    steering.num_classes, steering.num_tasks = num_classes, num_tasks
    if not steering.built:
        steering.build((None,))
    return steering
