"""Directional derivatives along the gradient that lowers the class-balanced class loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_gssl.backend import keras, ops, tf
from keras_gssl.data.pipeline import CLASS_KEY, UNALTERED_KEY
from keras_gssl.devices import sum_over_replicas
from keras_gssl.losses import class_indices
from keras_gssl.models.inputs import step_counter
from keras_gssl.pretext.look_ahead import DISTANCE, EVERY, MOMENTUM


@keras.saving.register_keras_serializable(package="keras_gssl")
class LookAhead(keras.layers.Layer):
    """Keeps v, the running mean of the class loss's gradient, and differentiates along it.

    Everything is computed with the batch norms' moving statistics, as the network is used afterwards.

    Args:
        backbone: At whose trained weights the gradient is taken.
        num_classes: Number of classes.
        every: Steps from one look to the next.
        momentum: Of the running mean.
        distance: Length of the difference's steps, as a share of the length of the weights.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        every: int = EVERY,
        momentum: float = MOMENTUM,
        distance: float = DISTANCE,
    ):
        super().__init__(name="look_ahead", trainable=False, dtype="float32")
        self.num_classes, self.every, self.momentum, self.distance = num_classes, every, momentum, distance
        self.direction = [
            self.add_weight(shape=weight.shape, initializer="zeros", trainable=False, name=f"direction_{index}")
            for index, weight in enumerate(backbone.trainable_variables)
        ]
        self.seen = self.add_weight(shape=(num_classes,), initializer="ones", trainable=False, name="seen")
        self.built = True

    def learn(self, weights: list[Any], logits_of: Callable[[], Any], classes: Any) -> None:
        """Take the gradient of the class-balanced cross-entropy of a batch of unaltered images into the mean."""
        of_class = ops.one_hot(classes, self.num_classes, dtype="float32")
        self.seen.assign_add(sum_over_replicas(ops.sum(of_class, axis=0)))
        seen = ops.convert_to_tensor(self.seen)
        balance = ops.take(ops.sum(seen) / (self.num_classes * seen), classes)
        with tf.GradientTape() as tape:
            losses = ops.sparse_categorical_crossentropy(classes, logits_of(), from_logits=True)
            loss = ops.mean(balance * losses)
        gradients = tape.gradient(loss, weights)
        for mean, gradient in zip(self.direction, gradients, strict=True):
            if gradient is not None:
                mean.assign(self.momentum * mean + (1 - self.momentum) * sum_over_replicas(gradient))

    def along(self, weights: list[Any], values_of: Callable[[], Any]) -> tuple[Any, Any]:
        """Central difference of what `values_of` computes, along v scaled to length 1, and the values' mean."""
        length = _length(self.direction)
        distance = self.distance * _length(weights)
        kept = [tf.identity(ops.convert_to_tensor(weight)) for weight in weights]
        both = []
        for sign in (1.0, -1.0):
            for weight, start, mean in zip(weights, kept, self.direction, strict=True):
                step = ops.divide_no_nan(sign * distance, length) * ops.convert_to_tensor(mean)
                weight.assign(start + ops.cast(step, start.dtype))
            both.append(tf.nest.map_structure(tf.identity, values_of()))
        for weight, start in zip(weights, kept, strict=True):
            weight.assign(start)
        above, below = both
        return (
            tf.nest.map_structure(lambda a, b: ops.divide_no_nan(a - b, 2 * distance), above, below),
            tf.nest.map_structure(lambda a, b: (a + b) / 2, above, below),
        )


def _length(parts: list[Any]) -> Any:
    return ops.sqrt(sum(ops.sum(ops.square(ops.cast(ops.convert_to_tensor(part), "float32"))) for part in parts))


class LooksAhead:
    """The part of `GatedSSLModel` that looks ahead every few steps, for its gate and its steering."""

    def make_look_ahead(self: Any) -> LookAhead | None:
        """What the gate or the steering wants to look ahead with; None where neither does."""
        if self.gate.looks_ahead:
            wanted = self.gate.every, self.gate.momentum, self.gate.distance
            return LookAhead(self.backbone, self.num_classes, *wanted)
        if self.steering is not None and self.steering.looks_ahead:
            return LookAhead(self.backbone, self.num_classes)
        return None

    def after_step(self: Any, images: Any, labels: dict[str, Any]) -> None:
        if self.look_ahead is None or self.heads_only:
            return
        due = ops.equal(ops.cast(step_counter(self.optimizer), "int32") % self.look_ahead.every, 0)

        def look() -> Any:
            self._look(images, labels)
            return tf.constant(True)

        tf.cond(due, look, lambda: tf.constant(False))

    def _look(self: Any, images: Any, labels: dict[str, Any]) -> None:
        weights = self.backbone.trainable_variables
        classes = class_indices(labels[CLASS_KEY], self.num_classes)

        def logits(features: Any) -> Any:
            return self.logit_scale * self.class_head(features)

        unaltered = labels[UNALTERED_KEY]
        self.look_ahead.learn(weights, lambda: logits(self.features(unaltered, training=False)), classes)

        def values() -> tuple[Any, Any, Any, Any]:
            _, features, seen = self.seen(images, training=False)
            judged = self.judged(seen, labels)
            class_losses = ops.sparse_categorical_crossentropy(classes, logits(features), from_logits=True)
            return judged.losses, class_losses, features, judged.applied

        (rewards, worth, *_), (_, _, features, applied) = self.look_ahead.along(weights, values)
        if self.gate.looks_ahead:
            self.gate.take(features, rewards, applied)
            for index, tracker in enumerate(self.alignments):
                tracker.update_state(rewards[:, index], sample_weight=applied[:, index])
        if self.steering is not None and self.steering.looks_ahead:
            self.steering.take(classes, applied, worth)
