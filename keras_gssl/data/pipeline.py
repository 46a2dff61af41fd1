"""From images to training batches: shuffle, crop, flip, normalise, alter one quadrant.

Every random number is a pure function of (seed, epoch, step). So two runs with one seed see equal batches whatever the
parallelism, and epoch 7 is the same whether epochs 0-6 were run before or not. Nor does it matter where a batch is
augmented: in tf.data on the CPU, or within the training step on the GPU, which then receives bytes instead of floats.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_gssl.data.image_files import ImageFiles, image_reader
from keras_gssl.tasks import RANDOM, PretextTask, check_tasks, draw_and_apply

CLASS_KEY = "class"
NUMBER_KEY = "batch_number"
PARALLEL_CALLS = min(16, os.cpu_count() or 2)
PREFETCHED_BATCHES = 4

Batch = tuple[tf.Tensor, dict[str, tf.Tensor]]

# First words of the seeds, so that no two draws share one.
_SHUFFLE, _CROP_ROWS, _CROP_COLUMNS, _MIRROR, _TASKS = range(5)  # the tasks draw from _TASKS upwards


class TrainingSet:
    """Training batches that know their epoch; give it to `GatedSSLModel.fit` as `x`.

    Each batch is `(images, {"class": labels, "<task>": labels, ...})`.

    Args:
        images: uint8, shape `(count, height, width, channels)`, or `ImageFiles`.
        labels: Integers, shape `(count,)`.
        mean, std: Per channel, on the scale 0-1.
        batch_size: Images per batch; the last batch of an epoch may be smaller.
        tasks: Pretext tasks applied to every image.
        seed: Seed of shuffling, augmentation and tasks.
        crop_padding: Black pixels added on each side before cropping back to the original size; 0 for no crop.
        horizontal_flip: Whether to mirror every second image, on average.
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
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, received {batch_size}.")
        self._images = images
        self._labels = labels
        self._mean = mean
        self._std = std
        self.batch_size = batch_size
        self.tasks = check_tasks(tasks)
        self.seed = seed
        self._crop_padding = crop_padding
        self._horizontal_flip = horizontal_flip

    @property
    def num_images(self) -> int:
        return len(self._images)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_images // self.batch_size)

    def from_epoch(self, initial_epoch: int = 0, augmented: bool = True) -> tf.data.Dataset:
        """An endless dataset that starts at the first step of `initial_epoch`.

        One iterator serves a whole run. With a plain `keras.Model`, give `fit` this and
        `steps_per_epoch=training_set.steps_per_epoch`.

        Args:
            initial_epoch: Epoch, counted from 0.
            augmented: False leaves `augment` to the training step: images are uint8 as they are stored, and the labels
                hold the number of the batch under `NUMBER_KEY`.
        """
        read = image_reader(self._images)
        with tf.device("CPU:0"):
            labels = tf.constant(self._labels, tf.int32)

        def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            order = tf.random.experimental.stateless_shuffle(
                tf.range(len(self._images)), seed=tf.stack([self._seed(_SHUFFLE), epoch])
            )
            batches = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size)
            return batches.enumerate().map(lambda step, indices: (epoch * self.steps_per_epoch + step, indices))

        def one_batch(number: tf.Tensor, indices: tf.Tensor) -> Batch:
            images = tf.ensure_shape(read(indices), (None, *self._images.shape[1:]))
            batch = images, {CLASS_KEY: tf.gather(labels, indices), NUMBER_KEY: number}
            return self.augment(*batch) if augmented else batch

        epochs = tf.data.Dataset.range(initial_epoch, tf.int64.max)
        dataset = epochs.flat_map(one_epoch).map(one_batch, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
        return without_autotuning(dataset.prefetch(PREFETCHED_BATCHES))

    def augment(self, images: tf.Tensor, labels: dict[str, tf.Tensor]) -> Batch:
        """Crop, mirror and normalise the images of a batch, and apply the pretext tasks.

        Args:
            images: uint8, shape `(batch, height, width, channels)`.
            labels: Class labels, and under `NUMBER_KEY` the number of the batch, of which every draw is a function.

        Returns:
            float32 images, and the class labels with those of the tasks.
        """
        labels = dict(labels)
        number = tf.cast(labels.pop(NUMBER_KEY), tf.int64)
        if self._crop_padding:
            images = random_crop(
                images, self._crop_padding, self._draw(_CROP_ROWS, number), self._draw(_CROP_COLUMNS, number)
            )
        if self._horizontal_flip:
            images = random_mirror(images, self._draw(_MIRROR, number))
        # Normalised first: permuting channels and then normalising each by its own statistics is not the same.
        images = normalise(images, self._mean, self._std)
        if not self.tasks:
            return images, labels
        images, task_labels = draw_and_apply(images, self.tasks, self._draw(_TASKS, number))
        return images, {**labels, **task_labels}

    def _draw(self, purpose: int, number: tf.Tensor) -> tf.Tensor:
        """The seed of one draw of batch `number`."""
        return tf.stack([self._seed(purpose), number])

    def _seed(self, purpose: int) -> tf.Tensor:
        # A prime step between seeds keeps (seed, purpose) pairs apart.
        return tf.constant(self.seed * 7919 + purpose, tf.int64)


def evaluation_set(
    images: np.ndarray | ImageFiles,
    labels: np.ndarray,
    mean: Sequence[float],
    std: Sequence[float],
    batch_size: int = 500,
) -> tf.data.Dataset:
    """Normalised images with their class labels, in order, each once."""
    read = image_reader(images)
    with tf.device("CPU:0"):
        classes = tf.constant(labels, tf.int32)

    def one_batch(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.ensure_shape(read(indices), (None, *images.shape[1:]))
        return normalise(batch, mean, std), tf.gather(classes, indices)

    dataset = tf.data.Dataset.range(len(labels)).batch(batch_size)
    dataset = dataset.map(one_batch, num_parallel_calls=PARALLEL_CALLS, deterministic=True)
    return without_autotuning(dataset.prefetch(PREFETCHED_BATCHES))


def normalise(images: tf.Tensor, mean: Sequence[float], std: Sequence[float]) -> tf.Tensor:
    """Pixels 0-255 to float32 with the given mean and standard deviation (per channel, scale 0-1) taken out."""
    return (tf.cast(images, tf.float32) - 255 * np.asarray(mean, "float32")) / (255 * np.asarray(std, "float32"))


def random_crop(images: tf.Tensor, padding: int, row_seed: tf.Tensor, column_seed: tf.Tensor) -> tf.Tensor:
    """Shift every image by up to `padding` pixels each way; what comes in is black (0)."""
    batch, (height, width) = tf.shape(images)[0], images.shape[1:3]
    padded = tf.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def shifted(seed: tf.Tensor, length: int) -> tf.Tensor:
        shift = tf.random.stateless_uniform((batch, 1), seed, 0, 2 * padding + 1, tf.int32, RANDOM)
        return shift + tf.range(length)

    rows, columns = shifted(row_seed, height), shifted(column_seed, width)
    # One gather of whole pixels is faster than one along rows and one along columns.
    pixels = tf.reshape(padded, (batch, -1, images.shape[3]))
    positions = rows[:, :, tf.newaxis] * (width + 2 * padding) + columns[:, tf.newaxis, :]
    return tf.gather(pixels, positions, axis=1, batch_dims=1)


def random_mirror(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Flip each image left-right with probability 1/2."""
    # Whole numbers: XLA draws the same ones as the CPU, which of floats is not so.
    mirrored = tf.random.stateless_uniform((tf.shape(images)[0], 1, 1, 1), seed, 0, 2, tf.int32, RANDOM)
    return tf.where(mirrored == 1, tf.image.flip_left_right(images), images)


def without_autotuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Turn tf.data's autotuner off: its thread can delay the end of every pass by seconds, and Keras makes many."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.deterministic = True
    return dataset.with_options(options)
