"""`GatedSSLModel`: a classifier with one extra head per pretext task and a gate that weighs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_gssl.gating import RewardedGate, gradient_alignment, make_gate, task_skill
from keras_gssl.replicas import mean_share
from keras_gssl.supervised import StepLosses, SupervisedModel
from keras_gssl.tasks import PretextTask, check_tasks


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
        tasks: Pretext tasks; the same as given to the data's `train(tasks=...)`. None means plain supervised training.
        ssl_ratio: Weight lambda of the pretext losses. 0 keeps the transforms as augmentation alone.
        gating: `"frozen"` (the authors' code), `"learned"` (eq. 1 and 2 as printed), `"rewarded"` (ours: prefers tasks
            whose labels can be learned and whose gradients do not oppose the class loss) or `"none"` (plain sum); see
            `keras_gssl.gating`. With fewer than two tasks there is no gate.
        heads: `"cosine"` for `LDAMLoss`: all heads give cosines without scale. `"dense"` for cross-entropy: ordinary
            dense layers with bias, giving logits.

    Input shape: images `(batch, height, width, channels)`; labels a dictionary with `"class"` and one entry per task,
    or just the class labels for evaluation. Output shape: `(batch, num_classes)`.

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
        gating: str = "frozen",
        heads: str = "cosine",
        **kwargs: Any,
    ):
        super().__init__(backbone, num_classes, heads, **kwargs)
        if ssl_ratio < 0:
            raise ValueError(f"ssl_ratio must not be negative, received {ssl_ratio}.")
        self.tasks = check_tasks(tasks)
        self.ssl_ratio = ssl_ratio
        self.gating = gating
        self.pretext_heads = [self._make_head(task.num_labels, f"{task.name}_head") for task in self.tasks]
        self.gate = make_gate(gating, len(self.tasks))
        self.gate.build(backbone.output_shape)
        self.task_losses, self.task_accuracies, self.gate_means = (
            [keras.metrics.Mean(name=pattern.format(task.name)) for task in self.tasks]
            for pattern in ("{}_loss", "{}_accuracy", "gate_{}")
        )
        rewarded = isinstance(self.gate, RewardedGate)
        self.alignments = [keras.metrics.Mean(name=f"alignment_{task.name}") for task in self.tasks if rewarded]
        self.built = True

    def step_losses(self, images: Any, labels: Any, sample_weight: Any) -> StepLosses:
        classes, task_labels = self.split_labels(labels, [task.name for task in self.tasks])
        features = self.features(images, training=True)
        with tf.GradientTape(persistent=True) as at_features:  # read by the rewarded gate alone
            at_features.watch(features)
            outputs = self.class_head(features)
            class_loss = self.weighted_class_loss(images, classes, outputs, sample_weight)
            task_outputs = [head(features) for head in self.pretext_heads]
            task_losses = [
                ops.sparse_categorical_crossentropy(label, output, from_logits=True)
                for label, output in zip(task_labels, task_outputs, strict=True)
            ]
        if not self.tasks:
            return StepLosses(classes, outputs, class_loss)

        gate, stacked_losses = self.gate(features), ops.stack(task_losses, axis=1)
        gate_objective: Any = 0.0
        if isinstance(self.gate, RewardedGate):
            alignment = gradient_alignment(at_features, features, class_loss, task_losses)
            skill = task_skill(stacked_losses, [task.num_labels for task in self.tasks])
            gate_objective = self.gate.objective(features, skill + alignment)
            gate = ops.stop_gradient(gate)
            for index, tracker in enumerate(self.alignments):
                tracker.update_state(alignment[:, index])
        for index, (label, output) in enumerate(zip(task_labels, task_outputs, strict=True)):
            self.task_losses[index].update_state(task_losses[index])
            self.gate_means[index].update_state(gate[:, index])
            hits = ops.equal(ops.argmax(output, axis=-1), ops.cast(label, "int32"))
            self.task_accuracies[index].update_state(ops.cast(hits, "float32"))
        pretext_loss = mean_share(ops.sum(gate * stacked_losses, axis=1))
        return StepLosses(classes, outputs, class_loss, self.ssl_ratio * pretext_loss, gate_objective)

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
            "gating": self.gating,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SupervisedModel:
        tasks = [keras.saving.deserialize_keras_object(t, custom_objects=custom_objects) for t in config["tasks"]]
        return super().from_config({**config, "tasks": tasks}, custom_objects)
