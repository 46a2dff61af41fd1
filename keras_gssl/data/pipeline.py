"""From images to training batches: shuffle, crop, flip, normalise, alter one quadrant.

Every random number is a pure function of (seed, epoch, step). So two runs with one seed see equal batches whatever the
parallelism, and epoch 7 is the same whether epochs 0-6 were run before or not. Nor does it matter where a batch is
augmented: in tf.data on the CPU, or within the training step on the GPU, which then receives bytes instead of floats.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.bounds import COUNT, SEED, WHOLE
from keras_gssl.data.augmentations.base import ImageAugmentation
from keras_gssl.data.augmentations.shifts import random_crop, random_mirror
from keras_gssl.data.mixing import MIXED_CLASS, OWN_SHARE, Mixing, Partners
from keras_gssl.data.normalisation import PixelNormalization
from keras_gssl.data.pictures.files import ImageFiles, image_reader
from keras_gssl.data.tracing import as_written
from keras_gssl.pretext.draw import TaskDraw
from keras_gssl.pretext.tasks import PretextTask, check_tasks
from keras_gssl.sharing import usable_cores

CLASS_KEY = "class"
NUMBER_KEY = "batch_number"  # in place of the tasks' labels, where the training step is to augment the batch
UNALTERED_KEY = "unaltered_images"  # images before the tasks altered them, for what looks ahead
PARTNER_KEY = "mixed_image"  # likewise, the images that are to be mixed in
PARALLEL_CALLS = min(16, len(usable_cores()))
PREFETCHED_BATCHES = 4

Batch = tuple[tf.Tensor, dict[str, tf.Tensor]]

# First words of the seeds, so that no two draws share one.
_SHUFFLE, _CROP_ROWS, _CROP_COLUMNS, _MIRROR, TASKS = range(5)  # the tasks draw from TASKS upwards
_PARTNERS, _MIXING, _AUGMENTATIONS = 200, 220, 300  # as do these, an augmentation at most `_EACH` times
_EACH = 20


def draw_seed(seed: int, purpose: int, number: tf.Tensor | int) -> tf.Tensor:
    """The seed of one draw of batch `number`, for stateless random operations."""
    # A prime step between seeds keeps (seed, purpose) pairs apart.
    return tf.stack([tf.constant(seed * 7919 + purpose, tf.int64), tf.cast(number, tf.int64)])


class TrainingSet:
    """Training batches that know their epoch; give it to `GatedSSLModel.fit` as `x`.

    Each batch is `(images, {"class": labels, "<task>": labels, ...})`. Iterating gives the batches of the first epoch,
    to be looked at; `len` is the number of batches of an epoch.

    Args:
        images: uint8, shape `(count, height, width, channels)`, or `ImageFiles`.
        labels: Integers, shape `(count,)`.
        mean, std: Per channel, on the scale 0-1.
        batch_size: Images per batch; the last batch of an epoch may be smaller.
        tasks: Pretext tasks applied to every image.
        seed: Seed of shuffling, augmentation and tasks.
        crop_padding: Black pixels added on each side before cropping back to the original size; 0 for no crop.
        horizontal_flip: Whether to mirror every second image, on average.
        augmentations: What else is done to the pixels, in this order, such as `AutoAugment()` and `Cutout(16)`.
        mixing: `MixUp(...)` or `CutMix(...)`; labels then hold the second class and the share of the first.
        draw: How tasks and quadrants are drawn.
    """

    def __init__(
        self,
        images: np.ndarray | ImageFiles,
        labels: np.ndarray,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int,
        tasks: Sequence[PretextTask] = (),
        seed: int = 0,
        crop_padding: int = 4,
        horizontal_flip: bool = True,
        augmentations: Sequence[ImageAugmentation] = (),
        mixing: Mixing | None = None,
        draw: TaskDraw | None = None,
    ):
        COUNT.check("batch_size", batch_size)
        SEED.check("seed", seed)
        WHOLE.check("crop_padding", crop_padding)
        self._images = images
        self._labels = labels
        self._normalisation = PixelNormalization(mean, std)
        self.batch_size = batch_size
        self.tasks = check_tasks(tasks)
        self.seed = seed
        self._crop_padding = crop_padding
        self._horizontal_flip = horizontal_flip
        self._augmentations = tuple(augmentations)
        self._mixing = mixing
        self._draw = draw or TaskDraw()
        self.first_step = 0

    @property
    def labels(self) -> np.ndarray:
        """Class of every training image."""
        return self._labels

    def unaugmented(self, indices: np.ndarray) -> tf.Tensor:
        """Some of the images, normalised and otherwise as they are."""
        return self._normalisation(image_reader(self._images)(tf.constant(indices, tf.int64)))

    @property
    def num_images(self) -> int:
        return len(self._images)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_images // self.batch_size)

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[Any]:
        return iter(self.one_epoch())

    def one_epoch(self) -> tf.data.Dataset:
        """The batches of the first epoch as a finite dataset."""
        epoch = self.from_epoch().take(self.steps_per_epoch)
        return epoch.apply(tf.data.experimental.assert_cardinality(self.steps_per_epoch))

    def normalised_as(self, normalisation: PixelNormalization) -> TrainingSet:
        """The same batches, with images that are normalised in another way."""
        other = copy.copy(self)
        other._normalisation = normalisation
        return other

    def after(self, steps: int) -> TrainingSet:
        """The same batches without the first ones of the epoch that training begins with: it goes on within it."""
        other = copy.copy(self)
        other.first_step = steps
        return other

    def from_epoch(
        self,
        initial_epoch: int | Callable[[], int] = 0,
        augmented: bool = True,
        class_weight: Mapping[int, float] | None = None,
    ) -> tf.data.Dataset:
        """An endless dataset that starts at the first step of `initial_epoch`.

        One iterator serves a whole run. With a plain `keras.Model`, give `fit` this and
        `steps_per_epoch=training_set.steps_per_epoch`.

        Args:
            initial_epoch: Epoch, counted from 0; or a function that says so when the batches are first asked for.
            augmented: False leaves `augment` to the training step: images are uint8 as they are stored, and the labels
                hold the number of the batch under `NUMBER_KEY`.
            class_weight: As in `keras.Model.fit`: batches get a third part, the weight of each image.
        """
        read = image_reader(self._images)
        with tf.device("CPU:0"):
            labels = tf.constant(self._labels, tf.int32)
        weights = None if class_weight is None else tf.constant(self._weights(class_weight))
        partners = None if self._mixing is None else Partners(self._labels, self._mixing.balanced)

        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(len(self._images)), seed=draw_seed(self.seed, _SHUFFLE, epoch)
            )
            batches = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
            numbered = as_written(lambda step, indices: (epoch * self.steps_per_epoch + step, indices))
            return batches.enumerate().map(numbered)

        def one_batch(number: tf.Tensor, indices: tf.Tensor) -> tuple[Any, ...]:
            images = tf.ensure_shape(read(indices), (None, *self._images.shape[1:]))
            classes = tf.gather(labels, indices)
            batch: Any = images, {CLASS_KEY: classes, NUMBER_KEY: number}
            if partners is not None:
                others = partners(tf.shape(indices)[0], draw_seed(self.seed, _PARTNERS, number))
                batch[1][PARTNER_KEY] = tf.ensure_shape(read(others), images.shape)
                batch[1][MIXED_CLASS] = tf.gather(labels, others)
            batch = self.augment(*batch) if augmented else batch
            return batch if weights is None else (*batch, tf.gather(weights, classes))

        traced = as_written(one_batch, *self.tasks, *self._augmentations, self._mixing, self._draw)
        dataset = (
            _epochs_from(initial_epoch)
            .flat_map(as_written(one_epoch))
            .skip(self.first_step)
            .map(traced, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
        )
        return without_autotuning(dataset.prefetch(PREFETCHED_BATCHES))

    def augment(self, images: tf.Tensor, labels: dict[str, tf.Tensor]) -> Batch:
        """Crop, mirror, normalise and mix the images of a batch, and apply the pretext tasks.

        Args:
            images: uint8, shape `(batch, height, width, channels)`.
            labels: Class labels, and under `NUMBER_KEY` the number of the batch, of which every draw is a function;
                with `mixing` also the second images and their classes.

        Returns:
            float32 images, and the class labels with those of the tasks.
        """
        labels = dict(labels)
        number = tf.cast(labels.pop(NUMBER_KEY), tf.int64)
        epoch = number // self.steps_per_epoch
        if self._mixing is None:
            images = self._view(images, number)
        else:
            both = self._view(tf.concat([images, labels.pop(PARTNER_KEY)], axis=0), number)
            seed = draw_seed(self.seed, _MIXING, number)
            own, partners = tf.split(both, 2)
            images, labels[OWN_SHARE] = self._mixing(own, partners, seed, epoch)
        if not self.tasks:
            return images, labels
        images, drawn = self._draw(images, self.tasks, draw_seed(self.seed, TASKS, number), epoch)
        return images, {**labels, **drawn}

    def _view(self, images: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        """Normalised images as the network sees them, in this batch."""
        if self._crop_padding:
            rows, columns = (draw_seed(self.seed, purpose, number) for purpose in (_CROP_ROWS, _CROP_COLUMNS))
            images = random_crop(images, self._crop_padding, rows, columns)
        if self._horizontal_flip:
            images = random_mirror(images, draw_seed(self.seed, _MIRROR, number))
        for index, augmentation in enumerate(self._augmentations):
            images = augmentation(images, draw_seed(self.seed, _AUGMENTATIONS + index * _EACH, number))
        # Normalised before the tasks: permuting channels and then normalising each by its own statistics is not the
        # same.
        return self._normalisation(images)

    def _weights(self, class_weight: Mapping[int, float]) -> np.ndarray:
        return weights_by_class(class_weight, int(np.max(self._labels)) + 1)


def weights_by_class(class_weight: Mapping[int, float], num_classes: int) -> np.ndarray:
    """Keras' `class_weight` as one weight per class, 1 where none is given."""
    weights = np.ones(num_classes, "float32")
    for label, weight in class_weight.items():
        if not 0 <= int(label) < num_classes:
            raise ValueError(f"class_weight has the class {label!r}, the data has the classes 0 to {num_classes - 1}.")
        weights[int(label)] = weight
    return weights


def _epochs_from(start: int | Callable[[], int]) -> tf.data.Dataset:
    """The numbers of all epochs from `start` on."""
    if not callable(start):
        return tf.data.Dataset.range(start, tf.int64.max)

    def asked(_: tf.Tensor) -> tf.data.Dataset:
        first = tf.numpy_function(lambda: np.int64(start()), [], tf.int64)
        return tf.data.Dataset.range(tf.ensure_shape(first, ()), tf.int64.max)

    return tf.data.Dataset.from_tensors(0).flat_map(as_written(asked))


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turn tf.data's autotuner off: its thread can delay the end of every pass by seconds, and Keras makes many."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
