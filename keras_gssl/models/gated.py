"""`GatedSSLModel`: a classifier with one extra head per pretext task and a gate that weighs them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from keras_gssl.backend import keras, ops, tf
from keras_gssl.data.pipeline import CLASS_KEY, TASKS, draw_seed
from keras_gssl.devices import mean_share
from keras_gssl.models.inputs import step_counter
from keras_gssl.models.supervised import StepLosses, SupervisedModel
from keras_gssl.pretext.gates import Evidence, Gate, make_gate
from keras_gssl.pretext.tasks import PretextTask, check_tasks, draw_and_apply


@keras.saving.register_keras_serializable(package="keras_gssl")
class GatedSSLModel(SupervisedModel):
    """Supervised classification helped by gated localizable pretext tasks.

    In training, every image carries one altered quadrant (see `PretextTask`); its features go to the classification
    head and to one small head per task. The loss is
    `class_loss + ssl_ratio * mean_i sum_n gate_n(x_i) * cross_entropy_n(x_i)`. The class loss is the one given to
    `compile`; pretext losses are plain cross-entropy. In evaluation and prediction only backbone and classification
    head take part, and `classifier()` returns just these.

    Args:
        backbone: Any `keras.Model` from images to a feature vector per image, such as `backbones.resnet32()`.
        num_classes: Number of classes.
        tasks: Pretext tasks. None means plain supervised training.
        ssl_ratio: Weight lambda of the pretext losses. 0 keeps the transforms as augmentation alone.
        gating: `"frozen"` (the authors' code), `"learned"` (eq. 1 and 2 as printed), `"rewarded"` (ours: prefers tasks
            whose labels can be learned and whose gradients do not oppose the class loss), `"none"` (plain sum), or a
            `Gate` object, such as `RewardedGate(temperature=0.2)` or your own. With fewer than two tasks there is no
            gate.
        heads: `"cosine"` for `LDAMLoss`: all heads give cosines without scale. `"dense"` for cross-entropy: ordinary
            dense layers with bias, giving logits.
        seed: Of what is drawn in the training step: which quadrant, and what is done to it.
        logit_scale, preprocessing, input_shape: See `SupervisedModel`.

    Input shape: images `(batch, height, width, channels)`, square with an even side where there are tasks. Labels are
    integers `(batch,)` or one-hot rows `(batch, num_classes)`, and the training step draws the tasks; or what
    `data.train(tasks=...)` gives, a dictionary with `"class"` and one entry per task. Output shape: `(batch,
    num_classes)`.

    History: `loss` (total), `class_loss`, and for each task `<task>_loss`, `<task>_accuracy`, `gate_<task>`; with the
    rewarded gate also `alignment_<task>`, the mean cosine between the task's and the class loss's gradient.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> tasks = [gssl.LoRotE(), gssl.Flip()]
    >>> model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), num_classes=10, tasks=tasks)
    >>> model.compile(optimizer=gssl.SGD(0.1), loss=gssl.LDAMLoss(data.class_counts), metrics=["accuracy"])
    >>> history = model.fit(data.train(batch_size=64, tasks=tasks, seed=0), epochs=1, verbose=0)
    >>> sorted(history.history)[:4]
    ['accuracy', 'class_loss', 'flip_accuracy', 'flip_loss']

    Reference:
        "Gated Self-Supervised Learning for Improving Supervised Learning" (arXiv 2301.05865), eq. 1 and 2.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        tasks: Sequence[PretextTask] = (),
        ssl_ratio: float = 0.1,
        gating: str | Gate = "frozen",
        heads: str = "cosine",
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(backbone, num_classes, heads, **kwargs)
        if ssl_ratio < 0:
            raise ValueError(f"ssl_ratio must not be negative, received {ssl_ratio}.")
        self.tasks = check_tasks(tasks)
        self.ssl_ratio = ssl_ratio
        self.gating = gating if isinstance(gating, str) else None
        self.seed = seed
        self.pretext_heads = [self._make_head(task.num_labels, f"{task.name}_head") for task in self.tasks]
        self.gate = make_gate(gating, len(self.tasks))
        if not self.gate.built:
            self.gate.build(self._features_shape)
        self.task_losses, self.task_accuracies, self.gate_means = (
            [keras.metrics.Mean(name=pattern.format(task.name)) for task in self.tasks]
            for pattern in ("{}_loss", "{}_accuracy", "gate_{}")
        )
        self.alignments = [
            keras.metrics.Mean(name=f"{report}_{task.name}") for report in self.gate.reports for task in self.tasks
        ]
        self.build(self._image_shape)

    def prepare(self, images: Any, labels: Any) -> tuple[Any, dict[str, Any]]:
        drawn_before = isinstance(labels, dict)
        images, labels = super().prepare(images, labels)
        if drawn_before or not self.tasks:
            missing = [task.name for task in self.tasks if task.name not in labels]
            if missing:
                raise ValueError(
                    f"The model was made with the tasks {[task.name for task in self.tasks]}, but the training data "
                    f"has no labels for {missing}: train on data.train(tasks=...) with the same tasks, or on images "
                    f"and class labels alone, to which the model applies its tasks itself."
                )
            return images, labels
        images, drawn = draw_and_apply(images, self.tasks, draw_seed(self.seed, TASKS, self._batch_number()))
        return images, {**labels, **drawn}

    def _batch_number(self) -> Any:
        """Counted over all training by the optimizer, so that a resumed run goes on with it; own to each device."""
        number = ops.cast(step_counter(self.optimizer), "int64")
        context = tf.distribute.get_replica_context()
        if self._replicas == 1 or context is None:
            return number
        return number * self._replicas + tf.cast(context.replica_id_in_sync_group, tf.int64)

    def step_losses(self, images: Any, labels: dict[str, Any], sample_weight: Any) -> StepLosses:
        features = self.features(images, training=True)
        if not self.tasks:
            outputs = self.class_head(features)
            return StepLosses(outputs, self.weighted_class_loss(images, labels[CLASS_KEY], outputs, sample_weight))

        at_features = tf.GradientTape(persistent=True) if self.gate.needs_gradients else None
        with at_features or contextlib.nullcontext():
            if at_features is not None:
                at_features.watch(features)
            outputs = self.class_head(features)
            class_loss = self.weighted_class_loss(images, labels[CLASS_KEY], outputs, sample_weight)
            task_outputs = [head(features) for head in self.pretext_heads]
            task_losses = [
                ops.sparse_categorical_crossentropy(labels[task.name], output, from_logits=True)
                for task, output in zip(self.tasks, task_outputs, strict=True)
            ]
        evidence = Evidence(features, ops.stack(task_losses, axis=1), [task.num_labels for task in self.tasks])
        if at_features is not None:
            evidence = evidence._replace(
                class_gradient=at_features.gradient(class_loss, features),
                task_gradients=[at_features.gradient(loss, features) for loss in task_losses],
            )
        gate = self.gate(features)
        gate_loss, reported = self.gate.learn(evidence)
        self._track(labels, task_outputs, evidence.task_losses, gate, reported)
        pretext_loss = mean_share(ops.sum(gate * evidence.task_losses, axis=1))
        return StepLosses(outputs, class_loss, self.ssl_ratio * pretext_loss, gate_loss)

    def _track(self, labels: Any, outputs: Sequence[Any], losses: Any, gate: Any, reported: Mapping[str, Any]) -> None:
        for index, (task, output) in enumerate(zip(self.tasks, outputs, strict=True)):
            self.task_losses[index].update_state(losses[:, index])
            self.gate_means[index].update_state(gate[:, index])
            hits = ops.equal(ops.argmax(output, axis=-1), ops.cast(labels[task.name], "int32"))
            self.task_accuracies[index].update_state(ops.cast(hits, "float32"))
        columns = (reported[name][:, index] for name in self.gate.reports for index in range(len(self.tasks)))
        for tracker, column in zip(self.alignments, columns, strict=True):
            tracker.update_state(column)

    def step_variables(self) -> list[Any]:
        # The frozen gate has no gradient, so its weights must not be decayed either.
        frozen = () if self.gate.trained else {id(variable) for variable in self.gate.variables}
        return [variable for variable in self.trainable_variables if id(variable) not in frozen]

    def training_metrics(self) -> list[keras.metrics.Metric]:
        return [self.class_loss, *self.task_losses, *self.task_accuracies, *self.gate_means, *self.alignments]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tasks": [keras.saving.serialize_keras_object(task) for task in self.tasks],
            "ssl_ratio": self.ssl_ratio,
            "gating": self.gating or keras.saving.serialize_keras_object(self.gate),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SupervisedModel:
        tasks = [keras.saving.deserialize_keras_object(t, custom_objects=custom_objects) for t in config["tasks"]]
        gating = config.get("gating", "frozen")
        if not isinstance(gating, str):
            gating = keras.saving.deserialize_keras_object(gating, custom_objects=custom_objects)
        return super().from_config({**config, "tasks": tasks, "gating": gating}, custom_objects)
