"""A classifier with what has to travel with it, wherever it comes from."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

# Commands use no public name, which would do it.
import keras_gssl.models.saved_classes  # noqa: F401
from keras_gssl.backend import keras, tf
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.normalisation import normalise
from keras_gssl.data.pictures.decode import depth_range_in
from keras_gssl.errors import UserError
from keras_gssl.export.interface import INPUT_NAME, INPUT_TYPES
from keras_gssl.models.supervised import SupervisedModel
from keras_gssl.probabilities import Adjustment
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True)
class Deployable:
    """A classifier with what has to travel with it.

    Attributes:
        classifier: From normalised images to logits.
        mean, std: Per channel, on the scale 0-1; None if they are unknown.
        class_names: One per class, or empty if unknown.
        samples: A few real images, uint8, to compare on; may be empty.
        normalise_inside: Whether exports normalise, if mean and standard deviation are known; else their caller does.
        fit: How pictures of other shapes are made square, `"crop"` or `"pad"`; see `data.pictures.read_picture`.
        depth_range: Black and white of greyscale pictures of more than 8 bits; see there.
        adjustment: What has been done to the logits so that their softmax is a probability in use.
        thresholds: From which probability on the classifier is right as often as wished; see `precision_thresholds`.
    """

    classifier: keras.Model
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    class_names: tuple[str, ...] = ()
    samples: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0,), "uint8"))
    fit: str = "crop"
    normalise_inside: bool = True
    depth_range: tuple[float, float] | None = None
    adjustment: Adjustment = dataclasses.field(default_factory=Adjustment)
    thresholds: Mapping[str, float | None] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_model(cls, model: SupervisedModel, data: ImageData | None = None) -> Deployable:
        """The classifier of a trained model, with the normalisation and the class names that belong to it.

        Args:
            model: The model.
            data: What it was trained on; without it the class names are unknown, and the normalisation too unless the
                model has a `preprocessing`.

        Example:

        >>> data = gssl.data.digits_lt()
        >>> model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), data.num_classes)
        >>> gssl.export.Deployable.from_model(model, data).class_names[:3]
        ('0', '1', '2')
        """
        known = model.preprocessing
        mean, std = (data.mean, data.std) if known is None and data is not None else (None, None)
        if known is not None:
            mean, std = tuple(known.mean.tolist()), tuple(known.std.tolist())
        names = data.class_names if data is not None else ()
        return cls(model.classifier(normalised=True), mean, std, names)

    def adjusted(self, adjustment: Adjustment, thresholds: Mapping[str, float | None] | None = None) -> Deployable:
        """The same with other logits: the adjustment becomes part of the last layer's weights.

        Raises:
            UserError: The classifier does not end in a layer `logits` as this package makes it.
        """
        classifier = self.classifier
        last = classifier.layers[-1]
        if not (
            isinstance(last, keras.layers.Dense) and last.name == "logits" and last.activation.__name__ == "linear"
        ):
            raise UserError(
                "Only a classifier that this package made can be calibrated or given another class mix: it ends in a "
                f"dense layer 'logits', this one in {last.name!r}."
            )
        kernel, *bias = last.get_weights()
        offsets = np.zeros(kernel.shape[1]) if adjustment.offsets is None else np.asarray(adjustment.offsets)
        logits = keras.layers.Dense(kernel.shape[1], dtype="float32", name="logits")
        model = keras.Model(classifier.input, logits(last.input), name=classifier.name)
        logits.set_weights([kernel / adjustment.temperature, sum(bias) / adjustment.temperature + offsets])
        return dataclasses.replace(self, classifier=model, adjustment=adjustment, thresholds=dict(thresholds or {}))

    @property
    def takes_pixels(self) -> bool:
        """Whether exports take pixels 0-255."""
        return self.normalise_inside and self.mean is not None

    def function(self, input_type: str, probabilities: bool) -> Callable[[tf.Tensor], tf.Tensor]:
        """From images as the user has them to logits or probabilities."""
        if input_type not in INPUT_TYPES:
            raise UserError(f"The input must be uint8 or float32, received {input_type!r}.")
        if not self.takes_pixels and input_type == "uint8":
            raise UserError(
                "uint8 pixels need the normalisation inside the model, and it was left out or is not known: give mean "
                "and std, or the input type float32 for images that the caller normalises."
            )

        def serve(image: tf.Tensor) -> tf.Tensor:
            pixels = self.normalised(image) if self.takes_pixels else tf.cast(image, tf.float32)
            logits = self.classifier(pixels, training=False)
            return tf.nn.softmax(logits) if probabilities else logits

        return serve

    def normalised(self, images: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Images as the classifier takes them, float32."""
        if self.mean is None or self.std is None:
            return tf.cast(images, tf.float32)
        return normalise(tf.convert_to_tensor(images), self.mean, self.std)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What the classifier says of images as the user has them."""
        return self.classifier(self.normalised(images), training=False).numpy()

    def metadata(self, input_type: str, probabilities: bool) -> dict[str, str]:
        """What a user of the file has to know."""
        inside = self.takes_pixels
        return {
            "class_names": json.dumps(list(self.class_names)),
            "input": f"{input_type} RGB image, shape (batch, height, width, channels), "
            + ("pixel values 0-255" if inside else "normalised by the caller"),
            "normalisation": json.dumps({"inside": inside, "mean": self.mean, "std": self.std, "scale": "0-1"}),
            "output": "probabilities" if probabilities else "logits",
            "fit": self.fit,
            "depth_range": json.dumps(self.depth_range),
            "adjustment": json.dumps(dataclasses.asdict(self.adjustment)),
            "thresholds": json.dumps(self.thresholds),
            "image_shape": json.dumps(list(self.classifier.input_shape[1:])),
        }


def as_deployable(model: Deployable | keras.Model) -> Deployable:
    """What the exporters take: a `Deployable`, a model that was trained, or a classifier."""
    if isinstance(model, SupervisedModel):
        return Deployable.from_model(model)
    return model if isinstance(model, Deployable) else Deployable(model)


def load_deployable(source: str | os.PathLike[str]) -> Deployable:
    """The classifier of a run folder, of a saved `SupervisedModel`, or a saved classifier (`.keras`).

    Files inside a run folder bring its class names, normalisation and sample images along.
    """
    path = Path(source)
    folder = RunFolder.around(path)
    file = folder.classifier if path.is_dir() else path
    if not file.exists():
        what = "a run folder without classifier.keras: has the run finished?" if path.is_dir() else "not there"
        raise UserError(f"Cannot use {path}: it is {what}" + ("" if path.is_dir() else "."))
    folder.manifest.check(file)
    try:
        model = keras.models.load_model(file)
    except Exception as error:  # damaged archives raise errors of a dozen kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise UserError(f"Cannot use {file}: Keras cannot load it ({reason}).") from error
    if not folder.data.exists():
        return as_deployable(model)
    classifier = model.classifier(normalised=True) if isinstance(model, SupervisedModel) else model
    data = read_description(folder)
    reading = data.get("source") or {}
    samples = np.zeros((0,), "uint8")
    if folder.manifest.check_if_noted(folder.samples):
        samples = folder.read_arrays(folder.samples, "images")["images"]
    return Deployable(
        classifier,
        tuple(data["mean"]),
        tuple(data["std"]),
        tuple(data["class_names"]),
        samples,
        reading.get("fit", "crop"),
        depth_range=depth_range_in(reading),
    )


def signature(model: Deployable, input_type: str) -> tf.TensorSpec:
    """What the exported function takes: images of a free batch size."""
    return tf.TensorSpec((None, *model.classifier.input_shape[1:]), input_type, name=INPUT_NAME)
