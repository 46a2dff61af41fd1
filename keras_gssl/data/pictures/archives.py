"""Data sets that come as arrays: `.npz` files such as MedMNIST's, CIFAR's batches, and what tensorflow-datasets has."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.data.pictures.found import PARTS, TEST, TRAIN, VALIDATION
from keras_gssl.downloads import one_at_a_time
from keras_gssl.errors import DataNotFoundError, UserError
from keras_gssl.files import OF_ARCHIVES

TFDS = "tfds:"
#: What arrays are called in `.npz` files: MedMNIST's way, and Keras' own.
KEYS = {
    TRAIN: (("train_images", "train_labels"), ("x_train", "y_train"), ("images", "labels"), ("x", "y")),
    VALIDATION: (("val_images", "val_labels"), ("x_val", "y_val")),
    TEST: (("test_images", "test_labels"), ("x_test", "y_test")),
}
CIFAR_FOLDERS = ("cifar-10-batches-py", "cifar-100-python")  # below the root that torchvision is given


@dataclasses.dataclass
class Archive:
    """Pictures and labels by part.

    Attributes:
        images: Of each part, arrays `(height, width)` or `(height, width, channels)`, of one size or of several.
        labels: Of each part, shape `(count,)`.
        class_names: One per class.
    """

    images: dict[str, Any]
    labels: dict[str, np.ndarray]
    class_names: tuple[str, ...]


def is_archive(source: str) -> bool:
    """Whether a source is one of these, rather than a folder or a list of picture files."""
    path = Path(source)
    return source.startswith(TFDS) or path.suffix.lower() == ".npz" or _cifar_folder(path) is not None


def read_archive(source: str, data_dir: str | None = None) -> Archive:
    """The pictures of an `.npz` file, of a folder with CIFAR's Python batches, or of `tfds:NAME`.

    Raises:
        DataNotFoundError: It is not there, or is damaged.
        UserError: It has several labels per picture, or is no data set of pictures.
    """
    if source.startswith(TFDS):
        return _read_tfds(source.removeprefix(TFDS), data_dir)
    folder = _cifar_folder(Path(source))
    return _read_cifar(folder) if folder is not None else _read_npz(Path(source))


def _read_npz(path: Path) -> Archive:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:  # pickles could do anything
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise DataNotFoundError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, EOFError, KeyError, TypeError, AttributeError, *OF_ARCHIVES) as error:
        raise DataNotFoundError(
            f"{path} is not an .npz file of plain arrays, or it is damaged (a file of another kind, or one that holds "
            f"Python objects, which are not loaded)."
        ) from error
    images, labels = {}, {}
    for part, names in KEYS.items():
        pair = next((each for each in names if set(each) <= set(arrays)), None)
        if pair is not None:
            images[part], labels[part] = arrays[pair[0]], _as_numbers(path, arrays[pair[1]])
    if TRAIN not in images:
        raise DataNotFoundError(
            f"{path}: expected arrays train_images and train_labels (or x_train and y_train), received "
            f"{', '.join(sorted(arrays)) or 'none'}."
        )
    for part, pixels in images.items():
        if pixels.ndim not in (3, 4) or len(pixels) != len(labels[part]):
            raise UserError(
                f"{path}: {part} pictures must have the shape (count, height, width) or (..., channels) and a label "
                f"each; received {pixels.shape} and {len(labels[part])} labels."
            )
    count = 1 + max(int(each.max(initial=0)) for each in labels.values())
    return Archive(images, labels, tuple(str(index) for index in range(count)))


def _as_numbers(path: Path, labels: np.ndarray) -> np.ndarray:
    """Labels as whole numbers, shape `(count,)`: a column of them, or rows with a single 1."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise UserError(f"{path} has several labels per picture, or none; such data cannot be used here.")
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or (labels.size and labels.min() < 0):
        raise UserError(
            f"{path}: labels must be whole numbers from 0, received {labels.dtype} of shape {labels.shape}."
        )
    return labels.astype("int64")


def _cifar_folder(path: Path) -> Path | None:
    for folder in (path, *(path / name for name in CIFAR_FOLDERS)):
        if (folder / "batches.meta").is_file() or ((folder / "meta").is_file() and (folder / "train").is_file()):
            return folder
    return None


def _read_cifar(folder: Path) -> Archive:
    ten = (folder / "batches.meta").is_file()
    label, names = (b"labels", b"label_names") if ten else (b"fine_labels", b"fine_label_names")
    files = {
        TRAIN: [f"data_batch_{i}" for i in range(1, 6)] if ten else ["train"],
        TEST: ["test_batch" if ten else "test"],
    }
    images, labels = {}, {}
    for part, parts in files.items():
        batches = [_unpickle(folder / name) for name in parts]
        try:
            pixels = np.concatenate([batch[b"data"] for batch in batches])
            images[part] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
            labels[part] = np.concatenate([batch[label] for batch in batches]).astype("int64")
        except (KeyError, ValueError, TypeError) as error:
            raise DataNotFoundError(f"{folder} does not hold CIFAR's batches as they are published.") from error
    meta = _unpickle(folder / ("batches.meta" if ten else "meta"))
    return Archive(images, labels, tuple(name.decode() for name in meta[names]))


def _unpickle(file: Path) -> dict[bytes, Any]:
    """A pickled dictionary of arrays and lists; anything else in it is refused before it is made."""
    try:
        with file.open("rb") as opened:
            content = _ArraysAlone(opened, encoding="bytes").load()
    except OSError as error:
        raise DataNotFoundError(f"Cannot read {file}: {error.strerror}.") from error
    except Exception as error:  # a damaged pickle raises errors of a dozen kinds
        raise DataNotFoundError(f"{file} is not one of CIFAR's files: {str(error).splitlines()[0]}.") from error
    if not isinstance(content, dict):
        raise DataNotFoundError(f"{file} is not one of CIFAR's files.")
    return content


ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"),
    ("numpy", "dtype"), ("_codecs", "encode"),
}  # fmt: skip


class _ArraysAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which is no array")
        if module == "numpy.core.multiarray" and hasattr(np, "_core"):  # as files from before NumPy 2 name it
            module = "numpy._core.multiarray"
        return super().find_class(module, name)


def _read_tfds(name: str, data_dir: str | None) -> Archive:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=data_dir)
        if not builder.is_prepared():
            with one_at_a_time():
                builder = tfds.builder(name, data_dir=data_dir)  # another process may have brought it meanwhile
                builder.download_and_prepare()  # which leaves alone what is there
    except Exception as error:  # unknown names, no network and full disks come as errors of many kinds
        raise DataNotFoundError(
            f"tensorflow-datasets cannot give {name!r}: {str(error).strip().splitlines()[0]} (set data_dir or "
            f"TFDS_DATA_DIR to a folder with a prepared copy)."
        ) from error
    keys = builder.info.supervised_keys
    if not keys or not hasattr(builder.info.features[keys[1]], "num_classes"):
        raise UserError(f"{name!r} of tensorflow-datasets is not a data set of pictures with one label each.")
    images, labels = {}, {}
    for part in PARTS:  # which are called the same there
        if part in builder.info.splits:
            pairs = list(tfds.as_numpy(builder.as_dataset(split=part, as_supervised=True, shuffle_files=False)))
            images[part] = [image for image, _ in pairs]
            labels[part] = np.array([label for _, label in pairs], "int64")
    return Archive(images, labels, tuple(builder.info.features[keys[1]].names))


def as_pictures(images: Iterable[np.ndarray]) -> Iterable[Any]:
    """Arrays as Pillow's pictures; `UserError` for arrays that are none."""
    from PIL import Image

    for pixels in images:
        channels = pixels.shape[2] if pixels.ndim == 3 else 1
        deep = channels == 1 and (pixels.dtype == np.uint16 or pixels.dtype.kind == "f")
        if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not (pixels.dtype == np.uint8 or deep):
            raise UserError(
                f"Pictures must be uint8 pixels 0-255 of shape (height, width) or (height, width, 1, 3 or 4), grey "
                f"ones also uint16 or fractions; received {pixels.dtype} of shape {pixels.shape}."
            )
        if pixels.dtype.kind == "f":
            pixels = pixels.astype("float32")
        yield Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)
