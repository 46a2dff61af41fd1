"""A small model, and data in the forms that `fit` takes, for the tests of `fit`."""

import keras
import tensorflow as tf

import keras_gssl as gssl
from tests.networks import small_backbone

NORMALISE = gssl.PixelNormalization(0.5, 0.25)


def make(heads="cosine", compile_args=None, **arguments):
    keras.utils.set_random_seed(0)
    arguments = {"tasks": [gssl.Flip(), gssl.LoRotE()], "preprocessing": NORMALISE, **arguments}
    backbone = arguments.pop("backbone", None) or small_backbone()
    model = gssl.GatedSSLModel(backbone, 3, heads=heads, **arguments)
    losses = {
        "cosine": gssl.LDAMLoss([20, 12, 8]),
        "dense": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    }
    model.compile(
        **{"optimizer": gssl.SGD(0.05), "loss": losses[heads], "metrics": ["accuracy"], **(compile_args or {})}
    )
    return model


def as_dataset(images, *labels, batch=10):
    return tf.data.Dataset.from_tensor_slices((images, *labels)).batch(batch)


class Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 4

    def __getitem__(self, index):
        chosen = slice(10 * index, 10 * index + 10)
        return self.images[chosen], self.labels[chosen]


class Recorder(gssl.PretextTask):
    """Adds the label to the quadrant, so that what was drawn can be seen in what a layer gets."""

    num_choices = 5

    def transform(self, patches, choices):
        return patches + tf.cast(choices, patches.dtype)[:, None, None, None]


def with_backup(folder):
    return keras.callbacks.BackupAndRestore(folder / "backup")
