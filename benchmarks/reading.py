"""Pictures per second from disk: ours beside Keras' own and PyTorch's loader, in interleaved rounds.

python -m benchmarks.reading                       # about three minutes on two cores; leave the machine alone
python -m benchmarks.reading --sides 64 --rounds 9

600 JPEG files of 500x375 pixels, read four times over so that starting counts for little, shrunk to a square of 224 and
of 64 pixels without distortion, in batches of 64, with two workers each. "torch, Pillow" does what torchvision's
`ImageFolder` with `Resize` and `CenterCrop` does (these are calls of Pillow); "torch, simplejpeg" decodes with
libjpeg-turbo through simplejpeg, shrinking while it decodes. All filter while they shrink, but for Keras' own, which
takes the nearest pixels' mean alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.__main__ import machine
from benchmarks.report import reading_table
from keras_gssl.files import write_json

COUNT, TIMES, SIZE, BATCH, WORKERS = 600, 4, (500, 375), 64, 2
RESULTS = Path(__file__).with_name("results") / "reading.json"


def make_pictures(folder: Path) -> list[str]:
    """Pictures with large and small structures, which compress about as photographs do."""
    from PIL import Image

    random = np.random.default_rng(0)
    for number in range(COUNT):
        layers = [
            np.asarray(
                Image.fromarray(random.integers(0, 256, (size, size, 3)).astype("uint8")).resize(
                    SIZE, Image.Resampling.BICUBIC
                ),
                "float32",
            )
            for size in (4, 16, 64)
        ]
        pixels = 0.55 * layers[0] + 0.3 * layers[1] + 0.15 * layers[2]
        place = folder / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        Image.fromarray(pixels.astype("uint8")).save(place / f"{number:04d}.jpg", quality=90)
    return sorted(str(path) for path in folder.rglob("*.jpg"))


def ours(paths: list[str], side: int) -> Iterator[Any]:
    import tensorflow as tf

    from keras_gssl.data.pictures.streamed import PictureFiles

    read = PictureFiles(paths, (side, side, 3)).reader()
    indices = tf.data.Dataset.range(len(paths)).repeat(TIMES).batch(BATCH)
    return iter(indices.map(read, num_parallel_calls=WORKERS).prefetch(2))


def keras_own(paths: list[str], side: int) -> Iterator[Any]:
    import keras

    folder = Path(paths[0]).parents[1]
    made = keras.utils.image_dataset_from_directory(
        folder, image_size=(side, side), batch_size=BATCH, crop_to_aspect_ratio=True, shuffle=False, verbose=False
    ).repeat(TIMES)
    return (images for images, _ in made)


class Pictures:
    """A data set for PyTorch's loader."""

    def __init__(self, paths: list[str], side: int, turbo: bool):
        self.paths, self.side, self.turbo = paths, side, turbo

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        from PIL import Image

        side = self.side
        if self.turbo:
            import simplejpeg

            content = Path(self.paths[index]).read_bytes()
            picture = Image.fromarray(simplejpeg.decode_jpeg(content, min_height=side, min_width=side, min_factor=1))
        else:
            picture = Image.open(self.paths[index]).convert("RGB")
        width, height = picture.size
        scale = side / min(width, height)
        picture = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        return np.asarray(picture.crop((left, top, left + side, top + side)))


def torch_loader(turbo: bool) -> Callable[[list[str], int], Iterator[Any]]:
    def make(paths: list[str], side: int) -> Iterator[Any]:
        from torch.utils.data import DataLoader

        return iter(DataLoader(Pictures(paths * TIMES, side, turbo), BATCH, num_workers=WORKERS))

    return make


VARIANTS: dict[str, Callable[[list[str], int], Iterator[Any]]] = {
    "ours": ours,
    "keras image_dataset_from_directory": keras_own,
    "torch, Pillow": torch_loader(False),
    "torch, simplejpeg": torch_loader(True),
}


def measure(paths: list[str], sides: list[int], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Pictures per second of each round."""
    speeds: dict[str, dict[str, list[float]]] = {str(side): {name: [] for name in VARIANTS} for side in sides}
    for side in sides:
        for number in range(-1, rounds):  # the first is a warm-up
            for name, make in VARIANTS.items():
                begin = time.perf_counter()
                seen = sum(len(batch) for batch in make(paths, side))
                seconds = time.perf_counter() - begin
                assert seen == len(paths) * TIMES
                if number >= 0:
                    speeds[str(side)][name].append(seen / seconds)
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-results", action="store_true", help="print alone, as with other sides")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speeds = measure(make_pictures(Path(folder)), arguments.sides, arguments.rounds)
    print(reading_table(speeds))
    if not arguments.no_results and set(speeds) == {"224", "64"}:
        write_json(RESULTS, {"pictures_per_second": speeds, **machine()})


if __name__ == "__main__":
    main()
