"""The part of `GatedSSLModel` that sees to it that a training batch is altered and its alterations are known."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import ops, tf
from keras_gssl.data.pipeline import CLASS_KEY, TASKS, UNALTERED_KEY, draw_seed
from keras_gssl.losses import class_indices
from keras_gssl.models.inputs import step_counter

_STEERING = 60  # first word of the seed; the tasks' own draws use smaller and larger numbers


class DrawsTasks:
    """Takes alterations from the data, or draws them in the training step.

    They have to be drawn here where what is drawn depends on what was learned (`steering`), or where the unaltered
    images are needed too (a gate that looks ahead).
    """

    def prepare(self: Any, images: Any, labels: Any) -> tuple[Any, dict[str, Any]]:
        from_data = isinstance(labels, dict)
        images, labels = super().prepare(images, labels)  # type: ignore[misc]
        if not self.tasks:
            return images, labels
        given = [task.name for task in self.tasks if task.name in labels]
        if self.draws_here and UNALTERED_KEY not in labels:
            if given:
                raise ValueError(
                    f"Steering and the look-ahead gate draw the tasks in the training step, but the training data has "
                    f"labels for {given} already: train on data.train() without tasks, or on images and class labels; "
                    f"or give the images as they were before, as {UNALTERED_KEY!r} among the labels."
                )
            return self._drawn(images, labels)
        if from_data:
            missing = [task.name for task in self.tasks if task.name not in labels]
            if missing:
                raise ValueError(
                    f"The model was made with the tasks {[task.name for task in self.tasks]}, but the training data "
                    f"has no labels for {missing}: train on data.train(tasks=...) with the same tasks, or on images "
                    f"and class labels alone, to which the model applies its tasks itself."
                )
            return images, labels
        return self._drawn(images, labels)

    def _drawn(self: Any, images: Any, labels: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        number = self._batch_number()
        chances = None
        if self.steering is not None:
            classes = class_indices(labels[CLASS_KEY], self.num_classes)
            chances = self.steering.chances(classes, draw_seed(self.seed, _STEERING, number))
        epoch = 0
        if self.draw.until_epoch is not None:
            if self._steps_per_epoch is None:
                raise ValueError(
                    "TaskDraw(until_epoch=...) needs to know the epochs: train on data.train(), or leave it out."
                )
            epoch = number // (self._steps_per_epoch * self._replicas)
        altered, drawn = self.draw(images, self.tasks, draw_seed(self.seed, TASKS, number), epoch, chances)
        kept = {UNALTERED_KEY: images} if self.draws_here else {}
        return altered, {**labels, **drawn, **kept}

    def _batch_number(self: Any) -> Any:
        """Counted over all training by the optimizer, so that a resumed run goes on with it; own to each device."""
        number = ops.cast(step_counter(self.optimizer), "int64")
        context = tf.distribute.get_replica_context()
        if self._replicas == 1 or context is None:
            return number
        return number * self._replicas + tf.cast(context.replica_id_in_sync_group, tf.int64)
