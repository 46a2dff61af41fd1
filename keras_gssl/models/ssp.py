"""SSP: self-supervised pretraining. The backbone first learns, without class labels, to tell rotations apart."""

from __future__ import annotations

from keras_gssl.backend import keras, tf
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pipeline import CLASS_KEY, NUMBER_KEY, Batch, TrainingSet, draw_seed
from keras_gssl.draws import whole_numbers
from keras_gssl.layers import take_up_weights
from keras_gssl.models.gated import GatedSSLModel
from keras_gssl.optimizers.sgd import SGD
from keras_gssl.pretext.tasks import rotate

NUM_ROTATIONS = 4
_ROTATION = 100  # first word of the seed; the input pipeline's own draws use small numbers


class RotationPrediction(TrainingSet):
    """Training batches in which each whole image is rotated once, and the "class" to predict is the rotation.

    Args:
        data: Where the images come from; its class labels are not used.
        batch_size: Images per batch.
        seed: Seed of shuffling, augmentation and rotation.

    Reference:
        "Rethinking the Value of Labels for Improving Class-Imbalanced Learning" (NeurIPS 2020), section 4.
    """

    def __init__(self, data: ImageData, batch_size: int = 128, seed: int = 0):
        super().__init__(
            data.train_images,
            data.train_labels,
            data.mean,
            data.std,
            batch_size,
            (),
            seed,
            data.crop_padding,
            data.horizontal_flip,
        )

    def augment(self, images: tf.Tensor, labels: dict[str, tf.Tensor]) -> Batch:
        seed = draw_seed(self.seed, _ROTATION, labels[NUMBER_KEY])
        images, _ = super().augment(images, labels)
        turns = whole_numbers(seed, 0, tf.shape(images)[:1], NUM_ROTATIONS)
        return rotate(images, turns), {CLASS_KEY: turns}


def rotation_model(backbone: keras.Model, optimizer: keras.optimizers.Optimizer | None = None) -> GatedSSLModel:
    """A compiled model that learns to tell the four rotations apart: dense head, plain cross-entropy.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> pretrained = gssl.rotation_model(gssl.backbones.resnet_cifar(8))
    >>> history = pretrained.fit(gssl.RotationPrediction(data, batch_size=64), epochs=1, verbose=0)
    >>> model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), num_classes=10)
    >>> gssl.transfer_backbone(pretrained.backbone, model.backbone)
    35
    """
    model = GatedSSLModel(backbone, NUM_ROTATIONS, heads="dense")
    model.compile(
        optimizer=optimizer or SGD(0.1, momentum=0.9, weight_decay=2e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def transfer_backbone(source: keras.Model, target: keras.Model) -> int:
    """Copy weights between two backbones, matched by layer and variable name.

    Args:
        source: The pretrained backbone.
        target: The backbone to start from it.

    Returns:
        How many tensors were copied: all of the target's.

    Raises:
        ValueError: A tensor of the target has no counterpart of the same name and shape. Nothing is copied then.
    """
    available = {_name(variable): variable for variable in source.weights}
    pairs = [(variable, available.get(_name(variable))) for variable in target.weights]
    missing = [to for to, origin in pairs if origin is None or tuple(origin.shape) != tuple(to.shape)]
    if missing or not pairs:
        first = f", first {_name(missing[0])} {tuple(missing[0].shape)}" if missing else ""
        raise ValueError(
            f"{len(missing)} of {len(pairs)} tensors of the backbone {target.name!r} have no counterpart of the same "
            f"name and shape in {source.name!r}{first}: pretrain the same architecture."
        )
    for to, origin in pairs:
        to.assign(origin)
    take_up_weights(target.layers)
    return len(pairs)


def _name(variable: keras.Variable) -> str:
    """`layer/variable`, without what encloses them."""
    return "/".join(variable.path.split("/")[-2:])
