"""What a file has to pass before it is kept: the same outputs as Keras, and on test images the same accuracy."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.data.pictures.files import ImageFiles
from keras_gssl.errors import UserError
from keras_gssl.export.deployable import Deployable
from keras_gssl.export.interface import Runner

TOLERANCE = 1e-4
BATCH = 100


class ExportError(UserError):
    """The exported file does not do what the Keras model does; it was not kept."""

    exit_code = 1


@dataclasses.dataclass
class TestImages:
    __test__ = False  # to pytest, which would collect it

    """What accuracy is measured on.

    Attributes:
        images: uint8, shape `(count, height, width, channels)`, or files, which are read a few at a time.
        labels: Class of each.
        max_drop: By how many points the accuracy of a file may be below Keras'.
        measured: Accuracy of Keras and of the file, in percent, once a file has been checked.
    """

    images: np.ndarray | ImageFiles
    labels: np.ndarray
    max_drop: float = 1.0
    measured: tuple[float, float] | None = dataclasses.field(default=None, init=False)


def compare(
    model: Deployable,
    expected: Callable[[tf.Tensor], tf.Tensor],
    actual: Callable[[list[np.ndarray]], list[np.ndarray]],
    input_type: str,
    what: str,
) -> None:
    """Raise `ExportError` unless both give the same on random and, where there are any, real images.

    Args:
        model: The classifier, for its shape and samples.
        expected: What Keras does, images to outputs.
        actual: What the file does, for several batches.
        input_type: Type of the images.
        what: Name of the file's kind, for the message.
    """
    kinds = {
        "random": np.random.default_rng(0).integers(0, 256, (8, *model.classifier.input_shape[1:])).astype("uint8")
    }
    if len(model.samples) >= 8:
        kinds["real"] = model.samples[:8]
    names, batches = [], []
    for kind, images in kinds.items():
        pixels = as_input(model, images, input_type)
        batches += [pixels[:1], pixels[1:8]]
        names += [f"{kind} images at batch 1", f"{kind} images at batch 7"]
    for name, batch, got in zip(names, batches, actual(batches), strict=True):
        wanted = expected(tf.constant(batch)).numpy()
        difference = np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())
        if not difference <= TOLERANCE:  # NaN fails too
            raise ExportError(
                f"The {what} differs from Keras by {difference:.2g} (relative) on {name}; at most {TOLERANCE:g} was "
                f"expected. It was not kept."
            )


def check_file(
    model: Deployable,
    expected: Callable[[tf.Tensor], tf.Tensor],
    run: Runner,
    input_type: str,
    what: str,
    exact: bool,
    test: TestImages | None,
) -> None:
    """All that a file has to pass; one in int8 is not `exact`, so it is compared by its accuracy alone."""
    if exact:
        compare(model, expected, lambda batches: [run(batch) for batch in batches], input_type, what)
    if test is not None:
        compare_accuracy(model, expected, run, input_type, test, what)


def as_input(model: Deployable, images: np.ndarray, input_type: str) -> np.ndarray:
    """uint8 images as the exported file takes them: normalised where its caller does that, to -1..1 if unknown how."""
    if model.takes_pixels:
        return images.astype(input_type)
    normalised = images / 127.5 - 1 if model.mean is None else model.normalised(images).numpy()
    return normalised.astype(input_type)


def compare_accuracy(
    model: Deployable,
    expected: Callable[[tf.Tensor], tf.Tensor],
    actual: Runner,
    input_type: str,
    test: TestImages,
    what: str,
) -> None:
    """Measure the accuracy of Keras and of the file on test images; `ExportError` if it falls too far."""

    def in_keras(images: np.ndarray) -> np.ndarray:
        return expected(tf.constant(images)).numpy()

    before, after = (accuracy(run, model, test, input_type) for run in (in_keras, actual))
    test.measured = before, after
    if before - after > test.max_drop:
        raise ExportError(
            f"The {what} reaches {after:.2f} % on {len(test.labels)} test images, Keras {before:.2f} %: it falls by "
            f"{before - after:.2f} points, at most {test.max_drop:g} were allowed (max_drop). It was not kept."
        )


def accuracy(run: Runner, model: Deployable, test: TestImages, input_type: str) -> float:
    """Top-1 accuracy in percent."""
    hits = 0
    for start in range(0, len(test.labels), BATCH):
        images = as_input(model, np.asarray(test.images[start : start + BATCH]), input_type)
        hits += int((np.asarray(run(images)).argmax(axis=1) == test.labels[start : start + BATCH]).sum())
    return 100 * hits / len(test.labels)


def latency(run: Runner, image: np.ndarray, repeats: int = 50) -> float:
    """Milliseconds for one image, median; the first calls are not counted."""
    seconds = []
    for number in range(repeats + 5):
        start = time.perf_counter()
        run(image)
        if number >= 5:
            seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)
