"""What every training method here shares: backbone, classification head, deferred re-weighting, one training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from keras_gssl.classifier import flat_classifier
from keras_gssl.data.pipeline import CLASS_KEY, TrainingSet
from keras_gssl.layers import CosineHead, dense_head
from keras_gssl.replicas import global_batch_size, num_replicas, sum_over_replicas

HEADS = ("cosine", "dense")


class StepLosses(NamedTuple):
    """What a method computes from one batch.

    Attributes:
        classes: Class labels, shape `(batch,)`.
        outputs: Class outputs, shape `(batch, num_classes)`, for the metrics.
        class_loss: Scalar, from `weighted_class_loss`; Keras divides it by the number of devices.
        auxiliary_loss: Scalar, from `mean_share`; part of the total loss.
        unreported_loss: Scalar, from `mean_share`; trained, but not part of the loss that the history shows.
    """

    classes: Any
    outputs: Any
    class_loss: Any
    auxiliary_loss: Any = 0.0
    unreported_loss: Any = 0.0


class SupervisedModel(keras.Model):
    """Base of the methods: a subclass says in `step_losses` what it adds to the class loss.

    Args:
        backbone: Any `keras.Model` from images to a feature vector per image, such as `backbones.resnet32()`.
        num_classes: Number of classes.
        heads: `"cosine"` for `LDAMLoss`: heads give cosines without scale. `"dense"` for cross-entropy: ordinary dense
            layers with bias, giving logits.
    """

    def __init__(self, backbone: keras.Model, num_classes: int, heads: str = "cosine", **kwargs: Any):
        super().__init__(**kwargs)
        if heads not in HEADS:
            raise ValueError(f"heads must be one of {', '.join(map(repr, HEADS))}; received {heads!r}.")
        features_shape = backbone.output_shape
        if len(features_shape) != 2 or features_shape[-1] is None:
            raise ValueError(
                f"The backbone must end in one feature vector per image, shape (batch, features); "
                f"received output shape {features_shape}. Add keras.layers.GlobalAveragePooling2D() at its end."
            )
        self.backbone = backbone
        self.num_classes = num_classes
        self.heads = heads
        self.class_head = self._make_head(num_classes, "class_head")
        # Kept here rather than in the loss, whose variables Keras does not save.
        self.class_weights = self.add_weight(
            shape=(num_classes,), initializer="ones", trainable=False, name="class_weights", dtype="float32"
        )
        self._augment: Callable[[Any, Any], tuple[Any, Any]] | None = None
        self.total_loss = keras.metrics.Mean(name="loss")
        self.class_loss = keras.metrics.Mean(name="class_loss")

    def _make_head(self, units: int, name: str) -> keras.layers.Layer:
        shape = self.backbone.output_shape
        if self.heads == "cosine":
            head: keras.layers.Layer = CosineHead(units, dtype="float32", name=name)
        else:
            head = dense_head(units, shape[-1], name)
        head.build(shape)
        return head

    def call(self, images: Any, training: bool = False) -> Any:
        """Class outputs of shape `(batch, num_classes)`: cosines or logits, by `heads`."""
        return self.class_head(self.features(images, training))

    def features(self, images: Any, training: bool) -> Any:
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
            self._check_batches(x)
            on_device = self._augments_on_device()
            self._augment_with(x.augment if on_device else None)
            x = x.from_epoch(kwargs.get("initial_epoch", 0), augmented=not on_device)
            kwargs.setdefault("shuffle", False)  # the set shuffles itself; Keras would warn that it cannot
        else:
            self._augment_with(None)
        return super().fit(x, y, *args, **kwargs)

    def _augments_on_device(self) -> bool:
        """Whether the training step augments: where a GPU would else wait for the CPU, and for floats to be copied.

        Not with several devices: each draws for its share of a batch, and the shares' draws would be the same.
        """
        return bool(tf.config.list_logical_devices("GPU")) and self._replicas == 1

    def _augment_with(self, augment: Callable[[Any, Any], tuple[Any, Any]] | None) -> None:
        if augment != self._augment:
            self._augment = augment
            self.train_function = None  # it is traced with the augmentation in it

    def _check_batches(self, training_set: TrainingSet) -> None:
        size, last = training_set.batch_size, training_set.num_images % training_set.batch_size
        if size % self._replicas or 0 < last < self._replicas:
            raise ValueError(
                f"Batches of {size} images, {last or size} in the last, cannot be shared out among {self._replicas} "
                f"devices: choose a batch_size that is a multiple of {self._replicas} and leaves no smaller rest."
            )

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.compute_loss`; `y` may be the dictionary that training batches hold."""
        return super().compute_loss(x, _classes(y), y_pred, *args, **kwargs)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """As `keras.Model.compute_metrics`; `y` may be the dictionary that training batches hold."""
        return super().compute_metrics(x, _classes(y), y_pred, sample_weight)

    def step_losses(self, images: Any, labels: Any, sample_weight: Any) -> StepLosses:
        """The losses of one training batch; updates the trackers that the method adds."""
        classes, _ = self.split_labels(labels)
        outputs = self(images, training=True)
        return StepLosses(classes, outputs, self.weighted_class_loss(images, classes, outputs, sample_weight))

    def step_variables(self) -> list[Any]:
        """The variables that the training step moves (and decays)."""
        return self.trainable_variables

    def train_step(self, data: Any) -> dict[str, Any]:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if self._augment is not None:
            images, labels = self._augment(images, labels)
        self._check_loss()
        if not self.optimizer.built:  # for all weights, so that saved optimizer state does not depend on the method
            self.optimizer.build(self.trainable_variables)
        variables = self.step_variables()

        with tf.GradientTape() as tape:
            losses = self.step_losses(images, labels, sample_weight)
            # Keras has divided the class loss by the number of devices; gradients are summed over them.
            total_loss = losses.class_loss + losses.auxiliary_loss / self._replicas
            scaled_loss = self.optimizer.scale_loss(total_loss + losses.unreported_loss / self._replicas)

        gradients = tape.gradient(scaled_loss, variables)
        self.optimizer.apply(gradients, variables)

        batch = global_batch_size(losses.outputs) / self._replicas
        self.total_loss.update_state(total_loss * self._replicas, sample_weight=batch)
        self.class_loss.update_state(losses.class_loss * self._replicas, sample_weight=batch)
        return self.compute_metrics(images, losses.classes, losses.outputs, sample_weight)

    def test_step(self, data: Any) -> dict[str, Any]:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        outputs = self(images, training=False)
        loss = self.compute_loss(images, labels, outputs, sample_weight, training=False)
        self.total_loss.update_state(loss * self._replicas, sample_weight=ops.shape(outputs)[0])
        results = self.compute_metrics(images, labels, outputs, sample_weight)
        only_in_training = {metric.name for metric in self.training_metrics()}
        return {name: result for name, result in results.items() if name not in only_in_training}

    def training_metrics(self) -> list[keras.metrics.Metric]:
        """Trackers that evaluation does not report."""
        return [self.class_loss]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """All metrics, with the tracker of the total loss in place of Keras' own, which a custom step cannot reach."""
        total = getattr(self, "total_loss", None)
        others = [metric for metric in super().metrics if metric.name != "loss"]
        return [total, *others] if total is not None and self.compiled else others

    @property
    def _replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def split_labels(self, labels: Any, names: Sequence[str] = ()) -> tuple[Any, list[Any]]:
        """Class labels, and those of the pretext tasks `names`, out of what the training data gives."""
        if not isinstance(labels, dict):
            if not names:
                return labels, []
            labels = {CLASS_KEY: labels}
        missing = [key for key in (CLASS_KEY, *names) if key not in labels]
        if missing:
            raise ValueError(
                f"The model was made with tasks {list(names)}, but the training data has no labels for {missing}: "
                f"train on data.train(tasks=...) with the same tasks (keras_gssl.data.from_arrays makes such data "
                f"from NumPy arrays)."
            )
        return labels[CLASS_KEY], [labels[name] for name in names]

    def weighted_class_loss(self, images: Any, classes: Any, outputs: Any, sample_weight: Any) -> Any:
        """The compiled loss, each image weighed by its class weight (see `DeferredReweighting`)."""
        weights, share = self.image_weights(classes, sample_weight)
        return share * self.compute_loss(images, classes, outputs, weights, training=True)

    def image_weights(self, classes: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Weight of each image, and what a loss weighed with them on this device is to be multiplied by.

        The weights have mean 1 on this device, so that a loss that divides by the batch size gives the weighted mean as
        well; the factor makes its mean over the devices the weighted mean over the global batch.
        """
        weights = ops.take(self.class_weights, ops.cast(ops.reshape(classes, (-1,)), "int32"))
        if sample_weight is not None:
            weights = weights * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        total = ops.sum(weights)
        return weights / ops.mean(weights), num_replicas() * total / sum_over_replicas(total)

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
        # Keras turns XLA on wherever it can; on a CPU it makes convolutional networks more than twice as slow, and
        # devices that train together exchange sums outside of it.
        one_gpu = bool(tf.config.list_logical_devices("GPU")) and self._replicas == 1
        return one_gpu and super()._resolve_auto_jit_compile()

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
            "heads": self.heads,
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SupervisedModel:
        config = dict(config)
        config["backbone"] = keras.saving.deserialize_keras_object(config["backbone"], custom_objects=custom_objects)
        return cls(**config)


def _classes(labels: Any) -> Any:
    return labels[CLASS_KEY] if isinstance(labels, dict) else labels
