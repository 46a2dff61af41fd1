"""Learning rates that end at zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, COUNT, WHOLE
from keras_gssl.choices import SHAPES


@keras.saving.register_keras_serializable(package="keras_gssl")
class ToZero(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate that rises linearly over a warm-up and then falls to zero at the last step.

    Step `s` of the warm-up runs at `learning_rate * (s + 1) / warmup_steps`; after it, with `t` going from 0 to 1 over
    the remaining steps, the rate is `learning_rate * (1 - t)` or `learning_rate * (1 + cos(pi * t)) / 2`. Steps beyond
    the last have the rate 0.

    Args:
        learning_rate: Highest rate.
        steps: Training steps of the whole run.
        warmup_steps: Of them, steps of the warm-up.
        shape: `"linear"` or `"cosine"`.

    Example:

    >>> schedule = gssl.ToZero(0.1, steps=110, warmup_steps=10)
    >>> [round(float(schedule(step)), 4) for step in (0, 9, 10, 60, 110)]
    [0.01, 0.1, 0.1, 0.05, 0.0]

    Reference:
        Linear: "Budgeted Training" (ICLR 2020, arXiv 1905.04753), section 3. Cosine: "SGDR" (ICLR 2017), eq. 5,
        without restarts.
    """

    def __init__(self, learning_rate: float, steps: int, warmup_steps: int = 0, shape: str = "linear"):
        if shape not in SHAPES:
            raise ValueError(f"shape must be one of {', '.join(map(repr, SHAPES))}; received {shape!r}.")
        COUNT.check("steps", steps)
        WHOLE.check("warmup_steps", warmup_steps)
        if warmup_steps >= steps:
            raise ValueError(f"warmup_steps must be below steps, received {warmup_steps} of {steps}.")
        ABOVE_ZERO.check("learning_rate", learning_rate)
        self.learning_rate, self.steps, self.warmup_steps, self.shape = learning_rate, steps, warmup_steps, shape

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        done = ops.clip((step - self.warmup_steps) / (self.steps - self.warmup_steps), 0.0, 1.0)
        share = 1 - done if self.shape == "linear" else (1 + ops.cos(math.pi * done)) / 2
        if self.warmup_steps:
            share = ops.where(step < self.warmup_steps, (step + 1) / self.warmup_steps, share)
        return self.learning_rate * share

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "shape": self.shape,
        }


@keras.saving.register_keras_serializable(package="keras_gssl")
class InTurn(keras.optimizers.schedules.LearningRateSchedule):
    """One schedule after another, each from its own step 0.

    Args:
        schedules: Schedules.
        steps: How long each lasts; the last goes on.

    Example, 100 steps of training and 20 of a re-trained classifier:

    >>> schedule = gssl.InTurn([gssl.ToZero(0.1, 100), gssl.ToZero(0.05, 20)], steps=[100, 20])
    >>> [round(float(schedule(step)), 4) for step in (0, 50, 100, 110)]
    [0.1, 0.05, 0.05, 0.025]
    """

    def __init__(self, schedules: Sequence[Any], steps: Sequence[int]):
        if len(schedules) != len(steps) or not schedules:
            raise ValueError(f"Every schedule needs its number of steps: received {len(schedules)} and {len(steps)}.")
        self.schedules, self.steps = list(schedules), [int(COUNT.check("steps", count)) for count in steps]

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        start, rate = 0, self.schedules[0](step)
        for schedule, length in zip(self.schedules[1:], self.steps, strict=False):
            start += length
            rate = ops.where(step >= start, schedule(ops.maximum(step - start, 0.0)), rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {
            "schedules": [keras.optimizers.schedules.serialize(schedule) for schedule in self.schedules],
            "steps": self.steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InTurn:
        schedules = [keras.optimizers.schedules.deserialize(each) for each in config["schedules"]]
        return cls(schedules, config["steps"])
