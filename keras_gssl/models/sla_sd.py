"""SLA+SD: predict class and rotation of the whole image jointly, and distil what the rotations say into one head."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.data.mixing import OWN_SHARE
from keras_gssl.data.pipeline import CLASS_KEY
from keras_gssl.devices import global_batch_size, mean_share, num_replicas
from keras_gssl.losses import class_indices, is_one_hot
from keras_gssl.models.supervised import StepLosses, SupervisedModel
from keras_gssl.pretext.tasks import rotate

NUM_ROTATIONS = 4


@keras.saving.register_keras_serializable(package="keras_gssl")
class SLASDModel(SupervisedModel):
    """Self-supervised label augmentation with self-distillation.

    Every training image is seen in its four rotations. A joint head tells `4 * class + rotation` on all of them, the
    class head tells the class of the unrotated ones and also follows the joint head's opinion averaged over the
    rotations. The loss is `joint loss + class loss + KL(aggregated || class head)` at temperature 1, with no gradient
    into the aggregated logits. Only backbone and class head are used afterwards.

    With `LDAMLoss` this is a reconstruction: the paper's table has a row "LDAM-DRW + SLA-SD", but no code for it is
    public. Here both heads give cosines, the margin and the deferred weight of the joint class `(class, rotation)` are
    those of the class, and the divergence is between cosines times the loss's scale.

    Args:
        backbone: Any `keras.Model` from square images to a feature vector per image.
        num_classes: Number of classes.
        heads: `"cosine"` for `LDAMLoss`, `"dense"` for cross-entropy.

    Input shape: images `(batch, side, side, channels)`; labels: classes, or a dictionary with `"class"`. Output shape:
    `(batch, num_classes)`.

    History: `loss` (total), `class_loss`, `joint_loss`, `joint_accuracy`, `distillation_loss`.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> model = gssl.SLASDModel(gssl.backbones.resnet_cifar(8), num_classes=10)
    >>> model.compile(optimizer=gssl.SGD(0.1), loss=gssl.LDAMLoss(data.class_counts))
    >>> history = model.fit(data.train(batch_size=64, seed=0), epochs=1, verbose=0)
    >>> sorted(history.history)
    ['class_loss', 'distillation_loss', 'joint_accuracy', 'joint_loss', 'loss']

    Reference:
        "Self-supervised Label Augmentation via Input Transformations" (ICML 2020), section 3.2.
    """

    def __init__(self, backbone: keras.Model, num_classes: int, heads: str = "cosine", **kwargs: Any):
        super().__init__(backbone, num_classes, heads, **kwargs)
        self.joint_head = self._make_head(NUM_ROTATIONS * num_classes, "joint_head")
        self.joint_loss = keras.metrics.Mean(name="joint_loss")
        self.joint_accuracy = keras.metrics.Mean(name="joint_accuracy")
        self.distillation_loss = keras.metrics.Mean(name="distillation_loss")
        self.build(self._image_shape)

    def step_losses(self, images: Any, labels: dict[str, Any], sample_weight: Any) -> StepLosses:
        if OWN_SHARE in labels:
            raise ValueError(
                "SLA+SD labels whole images by class and rotation and takes no mixed images: leave mixing out."
            )
        classes = labels[CLASS_KEY]
        batch = ops.shape(images)[0]
        rotations = ops.stack([rotate(images, ops.full((batch,), turns, "int32")) for turns in range(4)], axis=1)
        # Image after image, its four rotations together.
        features = self.features(ops.reshape(rotations, (-1, *images.shape[1:])), training=True)
        outputs = self.class_head(features[::NUM_ROTATIONS])
        class_loss = self.weighted_class_loss(images, {CLASS_KEY: classes}, outputs, sample_weight)

        joint_outputs = self.joint_head(features)
        turns = ops.arange(NUM_ROTATIONS, dtype="int32")
        joint_labels = ops.reshape(NUM_ROTATIONS * class_indices(classes, self.num_classes)[:, None] + turns, (-1,))
        weights, share = self.image_weights(classes, sample_weight)
        weights = ops.repeat(weights, NUM_ROTATIONS)
        # Keras' loss objects divide by the number of devices, as the training step does with what is returned here.
        share = share * num_replicas()
        wanted = (
            ops.one_hot(joint_labels, joint_outputs.shape[-1])
            if is_one_hot(classes, self.num_classes)
            else joint_labels
        )
        joint_loss = share * self._joint_loss()(wanted, joint_outputs, sample_weight=weights)
        divergences = distillation(self.logit_scale * joint_outputs, self.logit_scale * outputs)

        self.joint_loss.update_state(joint_loss, sample_weight=global_batch_size(images) / num_replicas())
        self.distillation_loss.update_state(divergences)
        hits = ops.equal(ops.argmax(joint_outputs, axis=-1), joint_labels)
        self.joint_accuracy.update_state(ops.cast(hits, "float32"))
        return StepLosses(outputs, class_loss, joint_loss + mean_share(divergences))

    def _joint_loss(self) -> keras.losses.Loss:
        # A loss for cosines may treat each class in its own way; the others take any number of classes.
        return self.loss.with_classes_split(NUM_ROTATIONS) if self.heads == "cosine" else self.loss

    def training_metrics(self) -> list[keras.metrics.Metric]:
        return [self.class_loss, self.joint_loss, self.joint_accuracy, self.distillation_loss]


def aggregate(joint_logits: Any) -> Any:
    """Class logits averaged over the rotations: rotation `i` of an image speaks through the columns `4 * class + i`.

    Args:
        joint_logits: Shape `(4 * batch, 4 * classes)`, the four rotations of an image in successive rows.

    Returns:
        Shape `(batch, classes)`.
    """
    by_rotation = ops.reshape(joint_logits, (-1, NUM_ROTATIONS, joint_logits.shape[-1] // NUM_ROTATIONS, NUM_ROTATIONS))
    return ops.mean(ops.diagonal(by_rotation, axis1=1, axis2=3), axis=-1)


def distillation(joint_logits: Any, class_logits: Any) -> Any:
    """`KL(softmax(aggregated) || softmax(class_logits))` per image, without gradient into the former."""
    teacher = ops.log_softmax(ops.stop_gradient(aggregate(joint_logits)))
    return ops.sum(ops.exp(teacher) * (teacher - ops.log_softmax(class_logits)), axis=-1)
