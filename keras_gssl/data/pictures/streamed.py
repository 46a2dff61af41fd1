"""Pictures of any kind that stay on disk and are brought to one size when a batch needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.data.pictures.decode import DepthRange, PictureError, read_picture
from keras_gssl.data.pictures.files import ImageFiles
from keras_gssl.errors import UserError
from keras_gssl.sharing import usable_cores


class PictureFiles(ImageFiles):
    """Pictures of any kind that stay on disk and are brought to one size when a batch needs them."""

    def __init__(
        self,
        paths: Sequence[str] | np.ndarray,
        image_shape: tuple[int, int, int],
        fit: str = "crop",
        depth_range: DepthRange | None = None,
    ):
        super().__init__(paths, image_shape)
        self.fit, self.depth_range = fit, depth_range

    def __getitem__(self, index: slice | np.ndarray) -> PictureFiles:
        return PictureFiles(self.paths[index], self.image_shape, self.fit, self.depth_range)

    def check(self) -> None:
        for path in self.paths:
            try:
                read_picture(path, self.image_shape[0], self.fit, self.depth_range)
            except PictureError as error:
                raise UserError(f"Cannot read the picture {path}: {error}") from error

    def reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        def read(indices: tf.Tensor) -> tf.Tensor:
            images = tf.numpy_function(self._read, [indices], tf.uint8, stateful=False)
            return tf.ensure_shape(images, (None, *self.image_shape))

        return read

    def _read(self, indices: np.ndarray) -> np.ndarray:
        """A batch at once: one call from TensorFlow, and threads of Pillow's, which decodes without Python's lock."""
        side = self.image_shape[0]
        pixels = _readers().map(lambda path: read_picture(path, side, self.fit, self.depth_range), self.paths[indices])
        return np.stack(list(pixels)) if len(indices) else np.zeros((0, *self.image_shape), "uint8")

    def _decode(self, path: tf.Tensor) -> tf.Tensor:
        def read(name: Any) -> np.ndarray:
            return read_picture(np.asarray(name).item().decode(), self.image_shape[0], self.fit, self.depth_range)

        return tf.ensure_shape(tf.numpy_function(read, [path], tf.uint8, stateful=False), self.image_shape)


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(usable_cores()), thread_name_prefix="pictures")
