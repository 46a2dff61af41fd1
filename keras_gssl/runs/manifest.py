"""Checksums of a run's files: what is read is what was written, or the file is named."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keras_gssl.errors import UserError
from keras_gssl.files import replacing, write_json

NAME = "manifest.json"
BLOCK = 1 << 20
GROWING = ("history.csv",)  # what is there stays, and more comes after it


class DamagedFileError(UserError):
    """A file of a run is not what the run wrote: cut, altered, missing, or another one; the message names it."""


class Manifest:
    """The sizes and SHA-256 of the files in a folder, in `manifest.json` beside them.

    A new file's checksum is noted before the file takes the place of the old one, whose checksum stays until the next
    file: whatever moment a process dies at, each file has one of the checksums that are noted for it. Runs of version
    0.1 have no manifest; their files are read as they are.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME

    @contextlib.contextmanager
    def replacing(self, path: Path) -> Iterator[Path]:
        """As `files.replacing`, with the checksum noted."""
        with replacing(path) as partial:
            yield partial
            self.note(path, partial)

    def note(self, path: Path, content: Path | None = None) -> None:
        """Note that `path` is about to become what is in `content`, or, without it, what it is."""
        known = self.read()
        current = known.get(path.name, [])
        on_disk = [entry for entry in current if path.exists() and checksum(path) == entry]
        known[path.name] = [checksum(content or path), *on_disk[:1]]
        gone = [name for name in known if name != path.name and not (self.path.parent / name).exists()]
        self._write({name: entries for name, entries in known.items() if name not in gone or _stays(name)})

    def note_prefix(self, path: Path, entry: Mapping[str, Any]) -> None:
        """Note what the beginning of a file is that only grows."""
        self._write({**self.read(), path.name: [dict(entry)]})

    def rename(self, old: Path, new: Path) -> None:
        """Rename a file, and its checksum with it."""
        known = self.read()
        if old.name in known:
            self._write({**known, new.name: known[old.name]})
        os.replace(old, new)

    def check(self, path: Path) -> Path:
        """The path, or `DamagedFileError` where the file is not what was noted for it."""
        complaint = self.complaint(path)
        if complaint is not None:
            raise DamagedFileError(complaint)
        return path

    def complaint(self, path: Path) -> str | None:
        """What is wrong with a file, or None; None as well where nothing is noted of it."""
        # A run that goes on may replace the file between a look at the manifest and one at the file.
        return self._complaint(path) and self._complaint(path)

    def _complaint(self, path: Path) -> str | None:
        noted = self.read().get(path.name)
        if noted is None:
            return None
        if not path.exists():
            return f"{path} is missing: the run wrote it. Bring it back from a copy, or train anew in another folder."
        size = path.stat().st_size
        if any(checksum(path, entry["bytes"]) == entry for entry in noted if entry["bytes"] <= size):
            exact = [entry for entry in noted if entry["bytes"] == size]
            if exact or path.name in GROWING:
                return None
        return (
            f"{path} is not what the run wrote: it is damaged or was altered ({size:,} bytes, {noted[0]['bytes']:,} "
            f"were written). Bring it back from a copy, or train anew in another folder."
        )

    def read(self) -> dict[str, list[dict[str, Any]]]:
        """What is noted; nothing in runs without a manifest."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            files = {
                str(name): [{"bytes": int(each["bytes"]), "sha256": str(each["sha256"])} for each in entries]
                for name, entries in content["files"].items()
            }
            if content["sha256"] != _digest_of(files):
                raise ValueError("its own checksum is another")
            return files
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedFileError(
                f"{self.path} is damaged, so the files beside it cannot be checked. Bring it back from a copy, or "
                f"delete it to go on without checks."
            ) from error

    def _write(self, files: Mapping[str, Any]) -> None:
        write_json(self.path, {"files": dict(files), "sha256": _digest_of(files)})

    def check_if_noted(self, path: Path) -> bool:
        """Whether a file that not every run has is there; `DamagedFileError` where it was, or is not as it was."""
        self.check(path)
        return path.exists()


def _digest_of(files: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()


def _stays(name: str) -> bool:
    """Whether a file that is gone is missed: checkpoints and what is half written come and go."""
    return not name.startswith(("checkpoint-", "partial-", "paused"))


def checksum(path: Path, length: int | None = None) -> dict[str, Any]:
    """Size and SHA-256 of a file, or of its first `length` bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(BLOCK if length is None else min(BLOCK, length - size)):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}
