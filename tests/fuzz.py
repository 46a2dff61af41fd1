"""Files as strangers, bad disks and bad editors leave them, given to everything that reads files.

`python -m tests.fuzz 100000` gives so many; each must be taken, or refused by a `ValueError` of one line, within a
second, and nothing may be written beside it.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from keras_gssl.data.pictures.archives import read_archive
from keras_gssl.data.pictures.found import Columns
from keras_gssl.data.pictures.list_file import read_list
from keras_gssl.export.metadata import check_metadata
from keras_gssl.recipes.command_line import read_config
from keras_gssl.recipes.image_folder import ImageFolderSettings
from keras_gssl.recipes.tables.grid import read_table
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.history import read_history
from keras_gssl.runs.manifest import Manifest
from keras_gssl.runs.result import read_result

ROOT = Path(__file__).parents[1]
SECONDS = 1.0
WORDS = [
    b"nan", b"inf", b"-1", b"1e999", b"null", b"true", b"[]", b"{}", b"[[", b'"', b"'", b"\\", b"\n", b"\r", b"\0",
    b",", b";", b"\t", b"=", b"../../etc/passwd", b"/etc/passwd", b"\xff\xfe", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80",
    b"$a$",
    b"<script>", b"\x1b[31m", b"9" * 400, b"__import__('os')", b"=1+1",
]  # fmt: skip


def samples(folder):
    """One good file of each kind, and what reads it."""
    finished = ROOT / "tests/fixtures/version_0_1/finished"
    names = ["cat", "dog", "bird"]
    np.savez(folder / "set.npz", train_images=np.zeros((3, 8, 8, 3), "uint8"), train_labels=np.arange(3))
    rows = "\n".join(f"{name}/{number}.jpg,{name},train" for name in names for number in range(2))
    manifest = Manifest(folder)
    (folder / "some.json").write_text('{"a": 1}')
    manifest.note(folder / "some.json")
    metadata = {"class_names": json.dumps(names), "image_shape": "[8, 8, 3]", "input": "uint8 RGB", "output": "logits",
                "normalisation": json.dumps({"inside": True, "mean": [0.5] * 3, "std": [0.2] * 3})}  # fmt: skip
    return {
        "settings.toml": (b'epochs = 3\nlearning_rate = 0.1\ntasks = ["flip"]\nbackbone = "resnet8"\n', _config),
        "table.toml": ((ROOT / "recipes/transfer.toml").read_bytes(), read_table),
        "list.csv": (f"path,label,split\n{rows}\n".encode(), _list),
        "list.txt": (b"cat/1.jpg 0\ndog/2.jpg 1\nbird/3.jpg 2\n", _list),
        "data.json": ((finished / "data.json").read_bytes(), lambda path: read_description(RunFolder(path.parent))),
        "metrics.json": ((finished / "metrics.json").read_bytes(), read_result),
        "history.csv": ((finished / "history.csv").read_bytes(), read_history),
        "manifest.json": ((folder / "manifest.json").read_bytes(), lambda path: Manifest(path.parent).read()),
        "set.npz": ((folder / "set.npz").read_bytes(), lambda path: read_archive(str(path))),
        "metadata.json": (json.dumps(metadata).encode(), _metadata),
    }


def _config(path):
    ImageFolderSettings(**read_config(str(path), ImageFolderSettings))


def _list(path):
    read_list(path, Columns())


def _metadata(path):
    """What an exported file says of itself: text by name."""
    content = json.loads(path.read_bytes())
    if isinstance(content, dict):
        check_metadata(path, {str(key): str(value) for key, value in content.items()})


def altered(content, random):
    """A copy with a few things done to it."""
    content = bytearray(content)
    for _ in range(random.integers(1, 5)):
        place, end = sorted(random.integers(0, len(content) + 1, 2))
        kind = random.integers(7)
        if kind == 0 and content:
            content[min(place, len(content) - 1)] ^= 1 << random.integers(8)
        elif kind == 1:
            del content[place:]
        elif kind == 2:
            del content[place : place + random.integers(1, 9)]
        elif kind == 3:
            content[place:place] = WORDS[random.integers(len(WORDS))]
        elif kind == 4:
            content[place : place + random.integers(1, 9)] = WORDS[random.integers(len(WORDS))]
        elif kind == 5:
            content[place:place] = content[place : min(end, place + 200)]
        else:
            content[place : place + 4] = random.integers(0, 256, 4).astype("uint8").tobytes()
    return bytes(content)


def attempts(count, seed=0):
    """Kind of file, what is wrong (or None), and the content, of so many files."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as scratch:
        good = samples(Path(scratch))
        names = list(good)
        for number in range(count):
            name = names[number % len(names)]
            content, read = good[name]
            folder = Path(scratch) / "here"
            folder.mkdir(exist_ok=True)
            path = folder / name
            content = altered(content, random)
            path.write_bytes(content)
            began, fault = time.process_time(), None
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    read(path)
            except (ValueError, OSError) as error:
                if len(str(error).splitlines()) > 1 or not str(error):
                    fault = f"{len(str(error).splitlines())} lines: {error!r}"
            except BaseException as error:
                fault = repr(error)
            if time.process_time() - began > SECONDS:
                fault = fault or "took longer than a second"
            if [each.name for each in folder.iterdir()] != [name]:
                fault = fault or "wrote a file"
            path.unlink()
            yield name, fault, content


def main(count, seed=0):
    tried, failed = Counter(), Counter()
    for name, fault, content in attempts(count, seed):
        tried[name] += 1
        if fault:
            failed[name] += 1
            if failed[name] <= 3:
                print(f"{name}: {fault[:300]}: {content[:200]!r}")
    for name, number in tried.items():
        print(f"{name}: {number} tried, {failed[name]} wrong")
    print(f"{sum(tried.values())} files, {sum(failed.values())} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
