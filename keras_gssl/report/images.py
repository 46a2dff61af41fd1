"""Pictures of the report, as PNG data within the page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from keras_gssl.pretext.tasks import PretextTask


class Figure(NamedTuple):
    """A picture and what is written under it."""

    image: np.ndarray  # uint8, shape (height, width, 3)
    caption: str


def gallery(figures: Iterable[Figure], size: str = "") -> str:
    """Figures side by side, as many as fit."""
    items = "".join(
        f'<figure><img alt="{html.escape(figure.caption)}" src="{_data_uri(figure.image)}">'
        f"<figcaption>{html.escape(figure.caption)}</figcaption></figure>"
        for figure in figures
    )
    return f'<div class="gallery {size}">{items}</div>'


def transform_examples(image: np.ndarray, task: PretextTask) -> list[Figure]:
    """What a task makes of an image: each of its choices, on the top-left quadrant."""
    from keras_gssl.backend import tf
    from keras_gssl.pretext.draw import apply_tasks

    count = task.num_choices
    images = tf.repeat(tf.constant(image, tf.float32)[tf.newaxis], count, axis=0)
    positions, choices = tf.zeros((count,), tf.int32), tf.range(count)
    altered, labels = apply_tasks(images, [task], positions, [choices])
    return [
        Figure(pixels, f"label {label}")
        for pixels, label in zip(altered.numpy().astype("uint8"), labels[task.name].numpy(), strict=True)
    ]


def with_heat(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image under a heat map of its size."""
    from matplotlib import colormaps

    colours = 255 * colormaps["inferno"](heat)[..., :3]
    return (0.5 * image + 0.5 * colours).round().astype("uint8")


def side_by_side(images: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(images), axis=1)


def _data_uri(image: np.ndarray) -> str:
    from PIL import Image

    content = io.BytesIO()
    picture = Image.fromarray(image if image.shape[-1] == 3 else np.repeat(image[..., :1], 3, axis=-1))
    picture.save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
