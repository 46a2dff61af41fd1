"""What the tests of augmentations share: pictures, and Pillow over a batch of them."""

import numpy as np
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

SEEDS = st.integers(0, 2**31 - 20)
#: Pillow's operations on colours, by our names for them.
PILLOW = {
    "invert": lambda image, _: ImageOps.invert(image),
    "solarize": ImageOps.solarize,
    "posterize": ImageOps.posterize,
    "brightness": lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    "contrast": lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    "saturation": lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    "sharpness": lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    "autocontrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
}


def pictures(seed, count=6, height=9, width=12, channels=3):
    """Noise, of which each image and channel uses another range of levels; the last image has one level only."""
    random = np.random.default_rng(seed)
    low = random.integers(0, 128, (count, 1, 1, channels))
    high = low + random.integers(1, 128, (count, 1, 1, channels))
    images = random.integers(low, high + 1, (count, height, width, channels))
    images[-1] = 77
    return images.astype("uint8")


def by_pillow(images, change):
    """`change(image, position)` for every image."""
    squeezed = images[..., 0] if images.shape[3] == 1 else images
    changed = [np.asarray(change(Image.fromarray(image), index)) for index, image in enumerate(squeezed)]
    return np.reshape(changed, images.shape)
