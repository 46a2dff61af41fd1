"""A folder of made-up pictures in every format and with every oddity that people's folders have."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from keras_gssl.data.pictures.listing import list_pictures

SHAPES = ("disc", "square", "bars", "ring")
KINDS = ("jpg", "png", "bmp", "gif", "webp", "grey", "palette", "alpha", "cmyk", "turned", "grey16", "grey-alpha")


def draw(shape, size, random):
    """One shape in a light colour on dark ground."""
    width, height = size
    picture = Image.new("RGB", size, tuple(int(value) for value in random.integers(0, 100, 3)))
    pen, colour = ImageDraw.Draw(picture), tuple(int(value) for value in random.integers(150, 256, 3))
    side = min(size)
    left, top = (width - side) / 2 + side * 0.2, (height - side) / 2 + side * 0.2
    box = (left, top, left + side * 0.6, top + side * 0.6)
    if shape == "disc":
        pen.ellipse(box, fill=colour)
    elif shape == "square":
        pen.rectangle(box, fill=colour)
    elif shape == "ring":
        pen.ellipse(box, outline=colour, width=max(2, side // 10))
    else:
        for step in range(3):
            pen.rectangle(
                (box[0], top + step * side * 0.24, box[2], top + step * side * 0.24 + side * 0.1), fill=colour
            )
    return picture


def save(picture, stem, kind):
    """Write a picture as one of `KINDS`; its path."""
    stem = str(stem)
    if kind == "jpg":
        picture.save(path := f"{stem}.jpg", quality=95)
    elif kind == "gif":  # animated; the second frame is black
        picture.save(path := f"{stem}.gif", save_all=True, append_images=[Image.new("RGB", picture.size)])
    elif kind == "grey":
        picture.convert("L").save(path := f"{stem}.JPEG")
    elif kind == "palette":
        picture.quantize(64).save(path := f"{stem}.PNG")
    elif kind == "alpha":
        picture.convert("RGBA").save(path := f"{stem}.png")
    elif kind == "cmyk":
        picture.convert("CMYK").save(path := f"{stem}.jpg", quality=95)
    elif kind == "turned":  # as a camera held upright writes it
        exif = Image.Exif()
        exif[274] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save(path := f"{stem}.jpg", exif=exif, quality=95)
    elif kind == "grey16":
        Image.fromarray(np.asarray(picture.convert("L")).astype("uint16") * 257).save(path := f"{stem}.png")
    elif kind == "grey-alpha":
        picture.convert("LA").save(path := f"{stem}.png")
    else:
        picture.save(path := f"{stem}.{kind}")
    return Path(path)


def make_folder(folder, counts=(24, 12, 5, 1), seed=0):
    """A folder of sub-folders, one per shape, every kind and several sizes in turn."""
    random, number = np.random.default_rng(seed), 0
    sizes = ((32, 32), (40, 30), (30, 45), (90, 70))
    for shape, count in zip(SHAPES, counts, strict=True):
        (folder / shape).mkdir(parents=True)
        for _ in range(count):
            picture = draw(shape, sizes[number % len(sizes)], random)
            save(picture, folder / shape / f"{shape} {number:03d}", KINDS[number % len(KINDS)])
            number += 1
    return folder


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def of(root, *names):
    """An empty picture for each name, and the listing of them."""
    touch(root, *names)
    return list_pictures(root)
