"""Learn from what other classifiers say of the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO, NOT_NEGATIVE


@keras.saving.register_keras_serializable(package="keras_gssl")
class Distillation(keras.layers.Layer):
    """Kullback-Leibler divergence from the mean opinion of one or several classifiers to the one that is trained.

    `weight * T^2 * KL(mean of softmax(teacher / T) || softmax(student / T))`, averaged over the batch. Teacher and
    student see the same augmented image.

    Args:
        teachers: Classifiers from normalised images to logits, such as the `classifier.keras` of finished runs on the
            same data; their weights do not change.
        weight: Of this loss beside the class loss.
        temperature: T; higher ones bring out what the teachers think of the other classes.

    Example:

    >>> teacher = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), 10, heads="dense").classifier()
    >>> student = gssl.GatedSSLModel(
    ...     gssl.backbones.resnet_cifar(8), 10, heads="dense", distillation=gssl.Distillation([teacher])
    ... )

    Reference:
        "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), section 2.
    """

    def __init__(
        self, teachers: Sequence[keras.Model], weight: float = 1.0, temperature: float = 2.0, name: str = "distillation"
    ):
        super().__init__(name=name, trainable=False, dtype="float32")
        if not teachers:
            raise ValueError("Distillation needs at least one teacher.")
        NOT_NEGATIVE.check("weight", weight)
        ABOVE_ZERO.check("temperature", temperature)
        self.teachers, self.weight, self.temperature = list(teachers), weight, temperature
        for teacher in self.teachers:
            teacher.trainable = False
        self.built = True

    def call(self, images: Any, logits: Any) -> Any:
        """The weighed divergence of each image.

        Args:
            images: Normalised.
            logits: Of the classifier that is trained, shape `(batch, classes)`.
        """
        temperature = self.temperature
        for teacher in self.teachers:
            if teacher.output_shape[-1] != logits.shape[-1]:
                raise ValueError(
                    f"A teacher tells {teacher.output_shape[-1]} classes apart, the model {logits.shape[-1]}: both "
                    f"need the same classes in the same order."
                )
        told = [
            ops.softmax(ops.cast(teacher(images, training=False), "float32") / temperature) for teacher in self.teachers
        ]
        wanted = ops.stop_gradient(sum(told) / len(told))
        student = ops.log_softmax(logits / temperature)
        divergence = ops.sum(wanted * (ops.log(ops.maximum(wanted, 1e-12)) - student), axis=-1)
        return self.weight * temperature**2 * divergence

    def get_config(self) -> dict[str, Any]:
        return {
            "teachers": [keras.saving.serialize_keras_object(teacher) for teacher in self.teachers],
            "weight": self.weight,
            "temperature": self.temperature,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Distillation:
        teachers = [
            keras.saving.deserialize_keras_object(teacher, custom_objects=custom_objects)
            for teacher in config["teachers"]
        ]
        return cls(**{**config, "teachers": teachers})
