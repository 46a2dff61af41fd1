"""What every training method here shares: backbone, classification head, deferred re-weighting, one training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from keras_gssl.backend import keras, ops, tf
from keras_gssl.bounds import ABOVE_ZERO, FACTOR, Bounds
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.data.pipeline import CLASS_KEY
from keras_gssl.devices import global_batch_size, mean_share
from keras_gssl.layers import CosineHead, dense_head
from keras_gssl.models.averaging import WeightAverage
from keras_gssl.models.class_loss import WeighsClasses
from keras_gssl.models.classifier import Deploys
from keras_gssl.models.distillation import Distillation
from keras_gssl.models.inputs import FitsAnyData
from keras_gssl.models.parts import TrainsInParts
from keras_gssl.models.shapes import backbone_shapes

#: Kinds of heads, and the factor that makes logits of their outputs unless another is given.
HEADS = {"cosine": 30.0, "dense": 1.0}


class StepLosses(NamedTuple):
    """What a method computes from one batch.

    Attributes:
        outputs: Class outputs, shape `(batch, num_classes)`, for the metrics.
        class_loss: Scalar, from `weighted_class_loss`; Keras divides it by the number of devices.
        auxiliary_loss: Scalar, from `mean_share`; part of the total loss.
        unreported_loss: Scalar, from `mean_share`; trained, but not part of the loss that the history shows.
    """

    outputs: Any
    class_loss: Any
    auxiliary_loss: Any = 0.0
    unreported_loss: Any = 0.0


class SupervisedModel(FitsAnyData, WeighsClasses, Deploys, TrainsInParts, keras.Model):
    """Base of the methods: a subclass says in `step_losses` what it adds to the class loss.

    Args:
        backbone: Any `keras.Model` from images to a feature vector per image, such as `backbones.resnet32()`.
        num_classes: Number of classes.
        heads: `"cosine"` for `LDAMLoss`: heads give cosines without scale. `"dense"` for cross-entropy: ordinary dense
            layers with bias, giving logits.
        logit_scale: What the outputs are multiplied by to be logits, whose softmax is the probability that was trained.
            Default 30 for cosine heads, the scale of `LDAMLoss`; 1 for dense heads.
        preprocessing: How pixels are normalised. With it the model takes pixels; without it, images that are normalised
            already, as `data.train()` and `data.test()` give them. Default: what the backbone carries, if anything.
            False: the backbone gets images of any kind as they are, and their values are not looked at.
        input_shape: `(height, width, channels)`; needed only for a subclassed backbone that was never called.
        average: Momentum of a running mean of the weights, such as 0.999, which is then what is evaluated, predicted
            with and exported; 0 for none. See `WeightAverage`.
        backbone_learning_rate_factor: Smaller steps for a pretrained backbone than for the heads; needs `gssl.SGD`,
            `AdamW` or `Muon`.
        distillation: What is learned from other classifiers beside the labels.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        heads: str = "cosine",
        logit_scale: float | None = None,
        preprocessing: PixelNormalization | bool | None = None,
        input_shape: Sequence[int] | None = None,
        average: float = 0.0,
        distillation: Distillation | None = None,
        backbone_learning_rate_factor: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.backbone_learning_rate_factor = FACTOR.check(
            "backbone_learning_rate_factor", backbone_learning_rate_factor
        )
        Bounds(least=2, whole=True).check("num_classes", num_classes)
        if heads not in HEADS:
            raise ValueError(f"heads must be one of {', '.join(map(repr, HEADS))}; received {heads!r}.")
        self.backbone = backbone
        self.num_classes = num_classes
        self.heads = heads
        self.logit_scale = HEADS[heads] if logit_scale is None else float(ABOVE_ZERO.check("logit_scale", logit_scale))
        self.preprocessing = _preprocessing(preprocessing, backbone)
        self._looks_at_values = preprocessing is not False
        self._scale_is_given = logit_scale is not None
        self._given_input_shape = input_shape
        self._image_shape, self._features_shape = backbone_shapes(backbone, input_shape)
        self.class_head = self._make_head(num_classes, "class_head")
        # Kept here rather than in the loss, whose variables Keras does not save.
        self.class_weights = self.add_weight(
            shape=(num_classes,), initializer="ones", trainable=False, name="class_weights", dtype="float32"
        )
        self.average = WeightAverage(backbone, self.class_head, self._features_shape, average) if average else None
        self.distillation = distillation
        # Not the backbone's `trainable`, which would be saved: a checkpoint is of a model that can be trained.
        self.heads_only = False
        self._augment: Callable[[Any, Any], tuple[Any, Any]] | None = None
        self.total_loss = keras.metrics.Mean(name="loss")
        self.class_loss = keras.metrics.Mean(name="class_loss")
        self.teacher_losses = [] if distillation is None else [keras.metrics.Mean(name="teacher_loss")]

    def _make_head(self, units: int, name: str) -> keras.layers.Layer:
        if self.heads == "cosine":
            head: keras.layers.Layer = CosineHead(units, dtype="float32", name=name)
        else:
            head = dense_head(units, self._features_shape[-1], name)
        head.build(self._features_shape)
        return head

    @property
    def input_shape(self) -> tuple[Any, ...]:
        return self._image_shape

    @property
    def output_shape(self) -> tuple[int | None, int]:
        return (None, self.num_classes)

    def build(self, input_shape: Any = None) -> None:
        """Everything is built when the model is made; Keras notes the shape here, for its exporters."""
        self.built = True

    def call(self, images: Any, training: bool = False) -> Any:
        """Class outputs of shape `(batch, num_classes)`: cosines or logits, by `heads`."""
        images = self.normalised(images)
        return self.class_head(self.features(images, training)) if training else self.class_outputs(images)

    def class_outputs(self, images: Any) -> Any:
        """Class outputs for normalised images, of the network that is used: the average of its weights, if there is."""
        if self.average is not None:
            return self.average(images)
        return self.class_head(self.features(images, training=False))

    def normalised(self, images: Any) -> Any:
        return images if self.preprocessing is None else self.preprocessing(images)

    def features(self, images: Any, training: bool) -> Any:
        """What the backbone makes of normalised images."""
        # Heads, gate and losses need float32 whatever the backbone computes in.
        return ops.cast(self.backbone(images, training=training and not self.heads_only), "float32")

    def prepare(self, images: Any, labels: Any) -> tuple[Any, dict[str, Any]]:
        """A training batch, wherever it comes from, as normalised images and labels by name."""
        if not isinstance(labels, dict):
            return self.normalised(images), {CLASS_KEY: labels}
        # From data.train() or with_pretext(): normalised and altered there, or left to this step by data.train().
        return (images, labels) if self._augment is None else self._augment(images, labels)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.compute_loss`; `y` may be the dictionary that training batches hold."""
        return super().compute_loss(x, _classes(y), y_pred, *args, **kwargs)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """As `keras.Model.compute_metrics`; `y` may be the dictionary that training batches hold."""
        return super().compute_metrics(x, _classes(y), y_pred, sample_weight)

    def step_losses(self, images: Any, labels: dict[str, Any], sample_weight: Any) -> StepLosses:
        """The losses of one prepared training batch; updates the trackers that the method adds."""
        outputs = self.class_head(self.features(images, training=True))
        return StepLosses(outputs, self.weighted_class_loss(images, labels, outputs, sample_weight))

    def after_step(self, images: Any, labels: dict[str, Any]) -> None:
        """What a method does with a prepared batch once the weights have moved."""

    def train_step(self, data: Any) -> dict[str, Any]:
        self.check_loss()
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        images, labels = self.prepare(images, labels)
        if not self.optimizer.built:  # for all weights, so that saved optimizer state does not depend on the method
            self.optimizer.build(self.trainable_variables)
        self.slow_down_backbone()
        variables = self.step_variables()

        with tf.GradientTape() as tape:
            losses = self.step_losses(images, labels, sample_weight)
            auxiliary_loss = losses.auxiliary_loss + self._teacher_loss(images, losses.outputs)
            # Keras has divided the class loss by the number of devices; gradients are summed over them.
            total_loss = losses.class_loss + auxiliary_loss / self._replicas
            scaled_loss = self.optimizer.scale_loss(total_loss + losses.unreported_loss / self._replicas)

        gradients = tape.gradient(scaled_loss, variables)
        self.optimizer.apply(gradients, variables)
        if self.average is not None:
            self.average.update(self.backbone, self.class_head)
        self.after_step(images, labels)

        batch = global_batch_size(losses.outputs) / self._replicas
        self.total_loss.update_state(total_loss * self._replicas, sample_weight=batch)
        self.class_loss.update_state(losses.class_loss * self._replicas, sample_weight=batch)
        return self.compute_metrics(images, labels, losses.outputs, sample_weight)

    def _teacher_loss(self, images: Any, outputs: Any) -> Any:
        if self.distillation is None:
            return 0.0
        divergences = self.distillation(images, self.logit_scale * outputs)
        self.teacher_losses[0].update_state(divergences)
        return mean_share(divergences)

    def predict_step(self, data: Any) -> Any:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        if isinstance(labels, dict):  # training batches, normalised already
            return self.class_outputs(images)
        return self(images, training=False)

    def test_step(self, data: Any) -> dict[str, Any]:
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        # Training batches are normalised already.
        outputs = self.class_outputs(images) if isinstance(labels, dict) else self(images, training=False)
        loss = self.compute_loss(images, labels, outputs, sample_weight, training=False)
        self.total_loss.update_state(loss * self._replicas, sample_weight=ops.shape(outputs)[0])
        results = self.compute_metrics(images, labels, outputs, sample_weight)
        only_in_training = {metric.name for metric in self.training_metrics()}
        return {name: result for name, result in results.items() if name not in only_in_training}

    def training_metrics(self) -> list[keras.metrics.Metric]:
        """Trackers that evaluation does not report."""
        return [self.class_loss, *self.teacher_losses]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """All metrics, with the tracker of the total loss in place of Keras' own, which a custom step cannot reach."""
        total = getattr(self, "total_loss", None)
        others = [metric for metric in super().metrics if metric.name != "loss"]
        return [total, *others] if total is not None and self.compiled else others

    @property
    def _replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    def get_config(self) -> dict[str, Any]:
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_classes": self.num_classes,
            "heads": self.heads,
            "logit_scale": self.logit_scale,
            "preprocessing": keras.saving.serialize_keras_object(self.preprocessing)
            if self.preprocessing is not None
            else (None if self._looks_at_values else False),
            "input_shape": self._given_input_shape and list(self._given_input_shape),
            "average": 0.0 if self.average is None else self.average.momentum,
            "backbone_learning_rate_factor": self.backbone_learning_rate_factor,
            "distillation": self.distillation and keras.saving.serialize_keras_object(self.distillation),
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SupervisedModel:
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("backbone", "preprocessing", "distillation")
            if config.get(name) not in (None, False)
        }
        return cls(**{**config, **parts})

    def compile_from_config(self, config: dict[str, Any]) -> None:
        if config.get("jit_compile") and not tf.config.list_physical_devices("GPU"):
            config = {**config, "jit_compile": "auto"}  # saved on a GPU; on CPUs XLA's convolutions are far slower
        super().compile_from_config(config)
        if not self._scale_is_given:  # saved by version 0.1.0, where the scale was the loss's
            self.logit_scale = float(getattr(self.loss, "scale", self.logit_scale))


def _preprocessing(given: Any, backbone: keras.Model) -> PixelNormalization | None:
    carried = getattr(backbone, "preprocessing", None)
    if given is None:
        return carried if isinstance(carried, PixelNormalization) else None
    if given is False:
        return None
    if not isinstance(given, PixelNormalization):
        raise ValueError(
            f"preprocessing must be a keras_gssl.PixelNormalization, or False for none; received {given!r}. Other "
            f"layers belong at the beginning of the backbone."
        )
    return given


def _classes(labels: Any) -> Any:
    return labels[CLASS_KEY] if isinstance(labels, dict) else labels
