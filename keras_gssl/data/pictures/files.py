"""Pictures that stay on disk and are decoded when a batch needs them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.backend import tf
from keras_gssl.data.pictures.reading import CACHES
from keras_gssl.data.tracing import as_written
from keras_gssl.errors import UserError
from keras_gssl.sharing import runs_at_once

PARALLEL_DECODING = 8
MEMORY_SHARE = 0.5
COPIES = 3  # TensorFlow copies an array that it is given, and needs room for another meanwhile


class ImageFiles:
    """Like a uint8 array of shape `(count, height, width, 3)`, but read from files batch by batch.

    Args:
        paths: JPEG, PNG, BMP or GIF files, all of one size; greyscale ones are given three equal channels.
        image_shape: `(height, width, 3)`.

    Indexing with a slice or an index array gives another `ImageFiles`; `numpy.asarray` decodes all of them.
    """

    dtype = np.dtype("uint8")
    ndim = 4

    def __init__(self, paths: Sequence[str] | np.ndarray, image_shape: tuple[int, int, int]):
        self.paths = np.asarray(paths, dtype=str)
        self.image_shape = image_shape

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.image_shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded images."""
        return int(np.prod(self.shape, dtype="int64"))

    def __getitem__(self, index: slice | np.ndarray) -> ImageFiles:
        return ImageFiles(self.paths[index], self.image_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        images = np.empty(self.shape, "uint8")
        paths = tf.data.Dataset.from_tensor_slices(self.paths).map(as_written(self._decode), tf.data.AUTOTUNE)
        position = 0
        try:
            for batch in paths.batch(256):
                images[position : position + len(batch)] = batch
                position += len(batch)
        except tf.errors.OpError:
            self.check()
            raise
        return images if dtype is None else images.astype(dtype)

    def check(self) -> None:
        """Raise `UserError` naming the first file that cannot be read or has another size."""
        for path in self.paths:
            try:
                self._decode(tf.constant(path))
            except (tf.errors.OpError, ValueError) as error:
                reason = str(error).strip().splitlines()[0][:200]
                raise UserError(f"Cannot read the picture {path}: {reason}") from error

    def reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A function from a batch of indices to their images, for use in tf.data."""
        with tf.device("CPU:0"):
            paths = tf.constant(self.paths)

        def read(indices: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                self._decode,
                tf.gather(paths, indices),
                fn_output_signature=tf.TensorSpec(self.image_shape, tf.uint8),
                parallel_iterations=PARALLEL_DECODING,
            )

        return read

    def _decode(self, path: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.ensure_shape(image, self.image_shape)


def image_reader(images: np.ndarray | ImageFiles) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a batch of indices to their images, wherever they are kept."""
    if not isinstance(images, np.ndarray):
        return images.reader()
    # On the CPU, and captured rather than embedded: the images are held once, wherever training runs.
    with tf.device("CPU:0"):
        tensor = tf.constant(images)
    return lambda indices: tf.gather(tensor, indices)


def cached(files: ImageFiles, cache: str) -> np.ndarray | ImageFiles:
    """The images decoded into memory, or as they are; for `cache` see `fits_in_memory`."""
    return np.asarray(files) if fits_in_memory(files.nbytes, cache) else files


def fits_in_memory(nbytes: int, cache: str = "auto") -> bool:
    """Whether decoded images of so many bytes are to be kept in memory.

    Args:
        nbytes: Their size.
        cache: `"memory"`: yes; `"disk"`: no; `"auto"`: if that takes less than half of what is free, or of its share in
            that where several runs go on at once.
    """
    if cache not in CACHES:
        raise ValueError(f"cache must be one of {', '.join(CACHES)}; received {cache!r}")
    return cache == "memory" or (cache == "auto" and COPIES * nbytes * runs_at_once() < MEMORY_SHARE * free_memory())


def free_memory() -> int:
    """Bytes of memory that can still be used, within a container by its limit; 0 where the system does not say."""
    return min([_free_in_machine(), *_free_in_container(Path("/sys/fs/cgroup"))])


def _free_in_container(folder: Path) -> list[int]:
    """What the limits of control groups leave, of version 2 and 1; empty where there are none."""
    free = []
    for limit, used in (
        (folder / "memory.max", folder / "memory.current"),
        (folder / "memory" / "memory.limit_in_bytes", folder / "memory" / "memory.usage_in_bytes"),
    ):
        try:
            free.append(max(0, int(limit.read_text()) - int(used.read_text())))
        except (OSError, ValueError):  # not there, or "max", which is none
            continue
    return free


def _free_in_machine() -> int:
    try:
        with open("/proc/meminfo") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        try:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (ValueError, OSError, AttributeError):
            return 0
