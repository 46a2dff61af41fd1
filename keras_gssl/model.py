"""`GatedSSLModel`: a backbone, a classification head, one head per pretext task and a gate, trained together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from keras_gssl.classifier import flat_classifier
from keras_gssl.data.pipeline import CLASS_KEY, TrainingSet
from keras_gssl.gating import make_gate
from keras_gssl.layers import CosineHead, dense_head
from keras_gssl.tasks import PretextTask, check_tasks

HEADS = ("cosine", "dense")


@keras.saving.register_keras_serializable(package="keras_gssl")
class GatedSSLModel(keras.Model):
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
        gating: `"frozen"` (the authors' code), `"learned"` (eq. 1 and 2 as printed) or `"none"` (plain sum); see
            `keras_gssl.gating`. With fewer than two tasks there is no gate.
        heads: `"cosine"` for `LDAMLoss`: all heads give cosines without scale. `"dense"` for cross-entropy: ordinary
            dense layers with bias, giving logits.

    Input shape: images `(batch, height, width, channels)`; labels a dictionary with `"class"` and one entry per task,
    or just the class labels for evaluation. Output shape: `(batch, num_classes)`.

    History: `loss` (total), `class_loss`, and for each task `<task>_loss`, `<task>_accuracy`, `gate_<task>`.

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
        super().__init__(**kwargs)
        if heads not in HEADS:
            raise ValueError(f"heads must be one of {', '.join(map(repr, HEADS))}; received {heads!r}.")
        if ssl_ratio < 0:
            raise ValueError(f"ssl_ratio must not be negative, received {ssl_ratio}.")
        features_shape = backbone.output_shape
        if len(features_shape) != 2 or features_shape[-1] is None:
            raise ValueError(
                f"The backbone must end in one feature vector per image, shape (batch, features); "
                f"received output shape {features_shape}. Add keras.layers.GlobalAveragePooling2D() at its end."
            )
        self.backbone = backbone
        self.num_classes = num_classes
        self.tasks = check_tasks(tasks)
        self.ssl_ratio = ssl_ratio
        self.gating = gating
        self.heads = heads

        self.class_head = self._make_head(num_classes, features_shape, "class_head")
        self.pretext_heads = [
            self._make_head(task.num_labels, features_shape, f"{task.name}_head") for task in self.tasks
        ]
        self.gate = make_gate(gating, len(self.tasks))
        self.gate.build(features_shape)
        # Kept here rather than in the loss, whose variables Keras does not save.
        self.class_weights = self.add_weight(
            shape=(num_classes,), initializer="ones", trainable=False, name="class_weights", dtype="float32"
        )
        self.total_loss = keras.metrics.Mean(name="loss")
        self.class_loss = keras.metrics.Mean(name="class_loss")
        self.task_losses = [keras.metrics.Mean(name=f"{task.name}_loss") for task in self.tasks]
        self.task_accuracies = [keras.metrics.Mean(name=f"{task.name}_accuracy") for task in self.tasks]
        self.gate_means = [keras.metrics.Mean(name=f"gate_{task.name}") for task in self.tasks]
        self.built = True

    def _make_head(self, units: int, features_shape: tuple[int | None, int], name: str) -> keras.layers.Layer:
        if self.heads == "cosine":
            head: keras.layers.Layer = CosineHead(units, dtype="float32", name=name)
        else:
            head = dense_head(units, features_shape[-1], name)
        head.build(features_shape)
        return head

    def call(self, images: Any, training: bool = False) -> Any:
        """Class outputs of shape `(batch, num_classes)`: cosines or logits, by `heads`."""
        return self.class_head(self._features(images, training))

    def _features(self, images: Any, training: bool) -> Any:
        # Heads, gate and losses need float32 whatever the backbone computes in.
        return ops.cast(self.backbone(images, training=training), "float32")

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`; `x` may be what `data.train(...)` returns, which knows its length and its epochs."""
        if isinstance(x, TrainingSet):
            steps = kwargs.setdefault("steps_per_epoch", x.steps_per_epoch)
            if steps % self.steps_per_execution:
                raise ValueError(
                    f"compile(steps_per_execution={self.steps_per_execution}) must divide the {steps} steps of an "
                    f"epoch, so that an execution ends where the epoch ends; use 1 or {steps}."
                )
            x = x.from_epoch(kwargs.get("initial_epoch", 0))
            kwargs.setdefault("shuffle", False)  # the set shuffles itself; Keras would warn that it cannot
        return super().fit(x, y, *args, **kwargs)

    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        classes, task_labels = self._split_labels(labels)
        self._check_loss()
        if not self.optimizer.built:  # for all weights, so that saved optimizer state does not depend on the gate
            self.optimizer.build(self.trainable_variables)
        # The frozen gate has no gradient, so its weights must not be decayed either.
        trained = [
            v for v in self.trainable_variables if self.gate.trained_by_loss or not _is_in(v, self.gate.variables)
        ]

        with tf.GradientTape() as tape:
            features = self._features(images, training=True)
            outputs = self.class_head(features)
            weights = self._class_sample_weights(classes, sample_weight)
            class_loss = self.compute_loss(images, classes, outputs, weights, training=True)
            total_loss = class_loss
            if self.tasks:
                task_outputs = [head(features) for head in self.pretext_heads]
                task_losses = ops.stack(
                    [
                        ops.sparse_categorical_crossentropy(label, output, from_logits=True)
                        for label, output in zip(task_labels, task_outputs, strict=True)
                    ],
                    axis=1,
                )
                gate = self.gate(features)
                pretext_loss = ops.mean(ops.sum(gate * task_losses, axis=1))
                # Keras has divided the class loss by the number of replicas; gradients are summed over them.
                total_loss = class_loss + self.ssl_ratio * pretext_loss / self._replicas
            scaled_loss = self.optimizer.scale_loss(total_loss)

        gradients = tape.gradient(scaled_loss, trained)
        self.optimizer.apply(gradients, trained)

        batch = ops.shape(outputs)[0]
        self.total_loss.update_state(total_loss * self._replicas, sample_weight=batch)
        self.class_loss.update_state(class_loss * self._replicas, sample_weight=batch)
        for index, label in enumerate(task_labels):
            self.task_losses[index].update_state(task_losses[:, index])
            self.gate_means[index].update_state(gate[:, index])
            hits = ops.equal(ops.argmax(task_outputs[index], axis=-1), ops.cast(label, "int32"))
            self.task_accuracies[index].update_state(ops.cast(hits, "float32"))
        return self.compute_metrics(images, classes, outputs, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        classes = labels[CLASS_KEY] if isinstance(labels, dict) else labels
        outputs = self(images, training=False)
        loss = self.compute_loss(images, classes, outputs, sample_weight, training=False)
        self.total_loss.update_state(loss * self._replicas, sample_weight=ops.shape(outputs)[0])
        results = self.compute_metrics(images, classes, outputs, sample_weight)
        only_in_training = {
            m.name for m in (self.class_loss, *self.task_losses, *self.task_accuracies, *self.gate_means)
        }
        return {name: result for name, result in results.items() if name not in only_in_training}

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """All metrics, with the tracker of the total loss in place of Keras' own, which a custom step cannot reach."""
        total = getattr(self, "total_loss", None)
        others = [metric for metric in super().metrics if metric.name != "loss"]
        return [total, *others] if total is not None and self.compiled else others

    @property
    def _replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def _split_labels(self, labels: Any) -> tuple[Any, list[Any]]:
        expected = [CLASS_KEY, *(task.name for task in self.tasks)]
        if not isinstance(labels, dict):
            if not self.tasks:
                return labels, []
            labels = {CLASS_KEY: labels}
        missing = [key for key in expected if key not in labels]
        if missing:
            raise ValueError(
                f"The model was made with tasks {expected[1:]}, but the training data has no labels for {missing}: "
                f"train on data.train(tasks=...) with the same tasks (keras_gssl.data.from_arrays makes such data "
                f"from NumPy arrays)."
            )
        return labels[CLASS_KEY], [labels[name] for name in expected[1:]]

    def _class_sample_weights(self, classes: Any, sample_weight: Any) -> Any:
        """Weights whose mean is 1, so that a loss that divides by the batch size gives the weighted mean."""
        weights = ops.take(self.class_weights, ops.cast(ops.reshape(classes, (-1,)), "int32"))
        if sample_weight is not None:
            weights = weights * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return weights / ops.mean(weights)

    def _check_loss(self) -> None:
        if (isinstance(self.loss, str) and "crossentropy" in self.loss) or getattr(
            self.loss, "from_logits", True
        ) is False:
            raise ValueError(
                "The heads give logits, not probabilities: compile with "
                "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)."
            )
        if self.heads == "cosine" and isinstance(self.loss, keras.losses.SparseCategoricalCrossentropy):
            raise ValueError(
                "Plain cross-entropy cannot learn from cosines, which stay within -1 and 1: "
                "make the model with heads='dense', or compile with LDAMLoss."
            )
        if self.heads == "dense" and hasattr(self.loss, "max_margin"):
            raise ValueError("LDAMLoss needs cosines between -1 and 1: make the model with heads='cosine'.")

    def _resolve_auto_jit_compile(self) -> bool:
        # Keras turns XLA on wherever it can; on a CPU it makes convolutional networks more than twice as slow.
        return bool(tf.config.list_logical_devices("GPU")) and super()._resolve_auto_jit_compile()

    def classifier(self, logit_scale: float | None = None) -> keras.Model:
        """The deployable part: a flat functional float32 model from normalised images to logits, without pretext heads.

        It is a copy made of stock Keras layers alone (as far as the backbone's own layers are), so it loads without
        this package.

        Args:
            logit_scale: Factor on the outputs. Default: the scale of the compiled loss (30 for `LDAMLoss`), so that
                the softmax of the logits is the probability that was trained; 1 where the loss has no scale.
                With 1, the outputs are those of the model itself.

        Returns:
            A `keras.Model` with the layers `image` ... `logits`.
        """
        if logit_scale is None:
            logit_scale = float(getattr(getattr(self, "loss", None), "scale", 1.0))
        return flat_classifier(self.backbone, self.class_head, logit_scale)

    def get_config(self) -> dict[str, Any]:
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "tasks": [keras.saving.serialize_keras_object(task) for task in self.tasks],
            "ssl_ratio": self.ssl_ratio,
            "gating": self.gating,
            "heads": self.heads,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> GatedSSLModel:
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"], custom_objects=custom_objects)
        config["tasks"] = [
            keras.saving.deserialize_keras_object(t, custom_objects=custom_objects) for t in config["tasks"]
        ]
        return cls(**config)


def _is_in(variable: Any, variables: Sequence[Any]) -> bool:
    return any(variable is other for other in variables)
