"""What a random change of images is: a pure function of a seed, on whole batches."""

from __future__ import annotations

from collections.abc import Callable

from keras_gssl.backend import tf
from keras_gssl.configured import Configured
from keras_gssl.draws import whole_numbers

Draw = Callable[[tuple[int, ...], int], tf.Tensor]


class ImageAugmentation(Configured):
    """A random change of images that leaves what they show. One of your own is a subclass with `augment`.

    Example:

    >>> @keras.saving.register_keras_serializable(package="my_project")
    ... class Negative(gssl.data.ImageAugmentation):
    ...     def augment(self, images, draw):
    ...         return tf.where(draw((1, 1, 1), 2) == 1, 255 - images, images)
    >>> Negative()(tf.ones((4, 8, 8, 3), tf.uint8), [1, 2]).shape
    TensorShape([4, 8, 8, 3])
    """

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Augment a batch.

        Args:
            images: uint8, shape `(batch, height, width, channels)` with 1 or 3 channels.
            seed: int32 or int64, shape `(2,)`. The result is a pure function of it; its first word is counted up from
                draw to draw, fewer than 20 times.

        Returns:
            uint8, the shape of `images`.
        """
        images, seed = tf.convert_to_tensor(images), tf.convert_to_tensor(seed)
        name, shape, count = type(self).__name__, images.shape, 0
        if images.dtype != tf.uint8 or shape.rank != 4 or None in shape[1:] or shape[3] not in (1, 3):
            received = f"received {images.dtype.name} of shape {shape}"
            raise ValueError(f"{name} expects uint8 images of shape (batch, height, width, 1 or 3), {received}.")
        if seed.dtype not in (tf.int32, tf.int64) or seed.shape != (2,):
            received = f"received {seed.dtype.name} of shape {seed.shape}"
            raise ValueError(f"{name} expects an int32 or int64 seed of shape (2,), {received}.")

        def draw(shape: tuple[int, ...], limit: int) -> tf.Tensor:
            nonlocal count
            count += 1
            return whole_numbers(seed, count - 1, (tf.shape(images)[0], *shape), limit)

        return tf.ensure_shape(self.augment(images, draw), shape)

    def augment(self, images: tf.Tensor, draw: Draw) -> tf.Tensor:
        """Change images; `draw(shape, limit)` gives int32 of shape `(batch, *shape)` below `limit`, anew each time."""
        raise NotImplementedError(f"{type(self).__name__} must implement augment(images, draw).")
