"""Train on what `image_dataset_from_directory` reads, a folder of yours or made-up pictures.

`python examples/fit_folder.py [FOLDER]`
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import keras_gssl as gssl

SIZE = (32, 32)


def make_up(folder: Path) -> Path:
    """Red, green and blue pictures, of which there are many, some and few."""
    random = np.random.default_rng(0)
    for channel, (name, count) in enumerate({"red": 60, "green": 20, "blue": 6}.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 120, (*SIZE, 3), "uint8")
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


with tempfile.TemporaryDirectory() as scratch:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else make_up(Path(scratch) / "photos")
    common = {"image_size": SIZE, "batch_size": 16, "validation_split": 0.2, "seed": 1, "verbose": False}
    training = keras.utils.image_dataset_from_directory(folder, subset="training", **common)
    validation = keras.utils.image_dataset_from_directory(folder, subset="validation", **common)
    labels = np.concatenate([labels for _, labels in training])
    counts = np.bincount(labels, minlength=len(training.class_names))

    model = gssl.GatedSSLModel(
        gssl.backbones.resnet_cifar(8, (*SIZE, 3)),
        num_classes=len(counts),
        tasks=[gssl.Flip(), gssl.LoRotE()],  # no ShuffleChannels where colour is the class
        preprocessing=gssl.PixelNormalization(mean=[0.5] * 3, std=[0.25] * 3),
    )
    model.compile(keras.optimizers.Adam(1e-3), gssl.LDAMLoss(counts.tolist()), metrics=["accuracy"])
    history = model.fit(training, validation_data=validation, epochs=4, verbose=2)
    print(f"validation accuracy {history.history['val_accuracy'][-1]:.2f}, classes {', '.join(training.class_names)}")
