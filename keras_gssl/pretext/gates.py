"""Gates: how much each pretext task counts, from the features (eq. 1 of the paper).

Every gate maps features `(batch, dim)` to weights `(batch, tasks)`, so the pretext loss is always
`mean over images of sum over tasks of weight * loss` (eq. 2) and only the weights differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO
from keras_gssl.devices import global_batch_size, mean_share, sum_over_replicas
from keras_gssl.layers import dense_head


class Evidence(NamedTuple):
    """What a gate may learn from in a training step.

    Attributes:
        features: Shape `(batch, dim)`.
        task_losses: Cross-entropy of each task's head, shape `(batch, tasks)`.
        num_labels: Labels of each task.
        class_gradient: Gradient of the class loss at the features, shape `(batch, dim)`; any positive factor per image
            may be in it.
        task_gradients: For each task, the gradient of its loss at the features, shape `(batch, dim)`.
        applied: 1 where a task was applied to an image, else 0, shape `(batch, tasks)`; None where all were.
    """

    features: Any
    task_losses: Any
    num_labels: Sequence[int]
    class_gradient: Any
    task_gradients: Sequence[Any]
    applied: Any = None


class Gate(keras.layers.Layer):
    """Base of the gates: from features `(batch, dim)` to weights `(batch, tasks)`.

    A gate of your own is a subclass with `call`, given to `GatedSSLModel(gating=...)`; it says itself what it needs
    from the training step.

    Args:
        num_tasks: Number of pretext tasks; a model that is given the gate sets it.

    Attributes:
        trained: Whether training moves the gate's own weights. Where it does not, they are not decayed either.
        looks_ahead: Whether the model is to tell it, every `every` steps, the directional derivatives of the pretext
            losses; see `LookAheadGate`.
        least_tasks: With fewer there is nothing to weigh.
        reports: Names of what `learn` reports for each task.

    Example:

    >>> @keras.saving.register_keras_serializable(package="my_project")
    ... class EqualGate(gssl.Gate):
    ...     trained = False
    ...     def call(self, features):
    ...         return tf.fill((tf.shape(features)[0], self.num_tasks), 1 / self.num_tasks)
    >>> tasks = [gssl.LoRotE(), gssl.Flip()]
    >>> model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), 10, tasks, gating=EqualGate())
    """

    trained = True
    looks_ahead = False
    least_tasks = 2
    reports: tuple[str, ...] = ()

    def __init__(self, num_tasks: int | None = None, name: str = "gate", **kwargs: Any):
        # float32 whatever the policy, as features and losses are.
        super().__init__(name=name, **{"dtype": "float32", **kwargs})
        self.num_tasks = num_tasks
        self.taken = False  # by a model, which it then belongs to

    def learn(self, evidence: Evidence) -> tuple[Any, Mapping[str, Any]]:
        """What the gate learns from a training batch by itself, beside what the pretext losses do to its weights.

        Args:
            evidence: Of the batch.

        Returns:
            A loss, from `mean_share`, that is trained but not part of the loss that the history shows; and what to
            report, by the names in `reports`, each of shape `(batch, tasks)`.
        """
        return 0.0, {}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_tasks": self.num_tasks}


@keras.saving.register_keras_serializable(package="keras_gssl")
class LearnedGate(Gate):
    """One weight per image and task, trained by the loss: eq. 1 and 2 as the paper prints them.

    Left alone it collapses: the gradient of `sum g_n L_n` only moves weight to the task whose loss is smallest.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.num_tasks is None:
            raise ValueError(f"{type(self).__name__} was given to no model and no num_tasks: it cannot be built.")
        self.logits = dense_head(self.num_tasks, int(input_shape[-1] or 0), name="logits")
        self.logits.build(input_shape)
        super().build(input_shape)

    def call(self, features: Any) -> Any:
        return ops.softmax(self.logits(features))


@keras.saving.register_keras_serializable(package="keras_gssl")
class FrozenGate(LearnedGate):
    """One weight per task and batch, never trained: what the authors' code does, and what produced their numbers.

    `softmax(mean over the batch of the logits)`, without gradient; over the global batch where several devices train.
    The gate keeps its random initial weights, so the tasks' "importance" is a random draw per run.
    """

    trained = False

    def call(self, features: Any) -> Any:
        total = sum_over_replicas(ops.sum(self.logits(features), axis=0, keepdims=True))
        logits = total / global_batch_size(features)
        weights = ops.stop_gradient(ops.softmax(logits))
        return ops.repeat(weights, ops.shape(features)[0], axis=0)


@keras.saving.register_keras_serializable(package="keras_gssl")
class RewardedGate(LearnedGate):
    """One weight per image and task, trained to prefer the tasks that earn it.

    The reward of a task is what its head can tell (`task_skill`) plus how far its gradient goes along that of the class
    loss (`gradient_alignment`).

    The gate's output is eq. 1, but the pretext losses cannot change it: they would only move weight to the task whose
    loss is smallest. Instead its logits regress on `reward / temperature`, so that the weights become
    `softmax(expected reward / temperature)`: of all weights the ones with the highest expected reward plus
    `temperature` times their entropy. So it cannot collapse: no ratio of weights goes beyond
    `exp(reward difference / temperature)`. The regression is linear in the reward, so the noise of single images
    averages out, and unlike a divergence of softmaxes it pulls weights back from 0 and 1. It sends no gradient into the
    features.

    Args:
        num_tasks: Number of pretext tasks.
        temperature: How strongly the gate prefers one task to another: towards 0 it picks one, towards infinity all
            weights become equal.

    Reference:
        Ours, not the paper's.
    """

    reports = ("alignment",)

    def __init__(self, num_tasks: int | None = None, temperature: float = 0.5, **kwargs: Any):
        super().__init__(num_tasks, **kwargs)
        self.temperature = ABOVE_ZERO.check("temperature", temperature)

    def call(self, features: Any) -> Any:
        return ops.stop_gradient(super().call(features))  # only `learn` moves the gate

    def learn(self, evidence: Evidence) -> tuple[Any, Mapping[str, Any]]:
        alignment = gradient_alignment(evidence.class_gradient, evidence.task_gradients)
        rewards = task_skill(evidence.task_losses, evidence.num_labels) + alignment
        if evidence.applied is not None:  # of a task that an image was spared nothing is learned there
            expected = self.temperature * ops.stop_gradient(self.logits(ops.stop_gradient(evidence.features)))
            rewards = ops.where(evidence.applied > 0, rewards, expected)
        return self.objective(evidence.features, rewards), {"alignment": alignment}

    def objective(self, features: Any, rewards: Any) -> Any:
        """What the gate minimises.

        Args:
            features: Shape `(batch, dim)`.
            rewards: Shape `(batch, tasks)`.
        """
        features = ops.stop_gradient(features)
        error = self.logits(features) - ops.stop_gradient(rewards) / self.temperature
        error = error - ops.mean(error, axis=1, keepdims=True)  # softmax does not see what all logits have in common
        # Divided by the input's squared length (the bias' included), one learning rate is stable for all features.
        length = 1 + ops.sum(ops.square(features), axis=1)
        return mean_share(ops.sum(ops.square(error), axis=1) / (2 * length))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature}


def task_skill(task_losses: Any, num_labels: Sequence[int]) -> Any:
    """How much of a task's label its head can tell: 0 by chance, 1 for certain and right, at least -1.

    `1 - loss / log(num_labels)`: cross-entropies of tasks with 2 and with 16 labels become comparable, so that no task
    has a head start. A label that cannot be told from the image has skill 0 whatever is done.

    Args:
        task_losses: Cross-entropies, shape `(batch, tasks)`.
        num_labels: Labels of each task.
    """
    return ops.clip(1 - task_losses / np.log(np.asarray(num_labels, "float32")), -1, 1)


def gradient_alignment(class_gradient: Any, task_gradients: Sequence[Any]) -> Any:
    """Cosine, per image and task, between the gradients of the task's loss and of the class loss at the features.

    Below 0 where the task pulls the features away from where the class loss pulls them. Cheap: from the features on
    there are only the heads.

    Args:
        class_gradient: Shape `(batch, dim)`; any positive factor per image leaves the result as it is.
        task_gradients: For each task, shape `(batch, dim)`.

    Returns:
        Shape `(batch, tasks)`, values in `[-1, 1]`; 0 where a gradient vanishes.

    Reference:
        "Adapting Auxiliary Losses Using Gradient Similarity" (arXiv 1812.02224).
    """
    wanted = ops.normalize(class_gradient, axis=-1, epsilon=1e-12)
    offered = [ops.normalize(gradient, axis=-1, epsilon=1e-12) for gradient in task_gradients]
    return ops.stack([ops.sum(wanted * each, axis=-1) for each in offered], axis=1)


@keras.saving.register_keras_serializable(package="keras_gssl")
class NoGate(Gate):
    """Weight 1 for every task: the plain sum of the pretext losses. Has no weights of its own."""

    def call(self, features: Any) -> Any:
        return ops.ones((ops.shape(features)[0], self.num_tasks), dtype=features.dtype)
