"""What finished runs say of pictures that they were not trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from keras_gssl.data.pictures.decode import DepthRange, depth_range_in
from keras_gssl.data.pictures.found import VALIDATION
from keras_gssl.data.pictures.listing import list_pictures
from keras_gssl.errors import UserError
from keras_gssl.probabilities import Adjustment, prior_offsets
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True)
class HeldOut:
    """Pictures with what was predicted of them by runs that had not seen them.

    Attributes:
        names: As the runs list them, from `root`.
        root: The folder of the pictures.
        labels: Class of each, as it is given.
        probabilities: Shape `(count, classes)`; the mean where several runs have predicted a picture.
        class_names: One per class.
        all_pictures: How many pictures the runs have in all, those included that none has held out.
        fit, depth_range: How the runs have read them; see `read_picture`.
    """

    names: np.ndarray
    root: Path
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    all_pictures: int
    fit: str = "crop"
    depth_range: DepthRange | None = None

    @property
    def paths(self) -> list[Path]:
        return [self.root / name for name in self.names]


def read_held_out(folders: Sequence[str | Path]) -> HeldOut:
    """The held-out predictions of runs on one set of pictures.

    Args:
        folders: Folders of finished runs, or of comparisons, whose runs are all taken. With the runs of all folds every
            picture is there.

    Raises:
        UserError: A folder holds no finished run on one's own pictures, or the runs are on different classes.
    """
    runs = [run for folder in folders for run in _runs_in(Path(folder))]
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    labels: dict[str, int] = {}
    everything: set[str] = set()
    about = read_description(runs[0])
    class_names, source = tuple(about["class_names"]), about["source"]
    for run in runs:
        known = read_description(run)
        if tuple(known["class_names"]) != class_names or known["source"]["root"] != source["root"]:
            raise UserError(f"{run.path} is on other pictures or classes than {runs[0].path}: audit them one by one.")
        listing = list_pictures(run.manifest.check(run.pictures), root=source["root"])
        everything |= set(listing.names.tolist())
        numbers = {name: index for index, name in enumerate(class_names)}
        stored = run.read_arrays(run.predictions, "logits")
        groups = [(listing.test_order(), stored["logits"])]
        if "validation_logits" in stored:
            groups.append((listing.members(VALIDATION), stored["validation_logits"]))
        for positions, logits in groups:
            if len(positions) != len(logits):
                raise UserError(f"{run.path} is a trial, which has fewer pictures than it lists: audit whole runs.")
            for position, values in zip(positions, _probabilities(run, known, logits), strict=True):
                name = str(listing.names[position])
                sums[name] = sums.get(name, 0) + values
                counts[name] = counts.get(name, 0) + 1
                label = numbers[listing.class_names[listing.labels[position]]]
                if labels.setdefault(name, label) != label:
                    raise UserError(
                        f"{name} has another label in {run.path} than in the runs before, as after corrections: "
                        f"audit the runs of one state of the labels."
                    )
    names = sorted(sums)
    return HeldOut(
        np.array(names, str),
        Path(source["root"]),
        np.array([labels[name] for name in names]),
        np.stack([sums[name] / counts[name] for name in names]),
        class_names,
        len(everything),
        source["fit"],
        depth_range_in(source),
    )


def _probabilities(run: RunFolder, about: dict[str, Any], logits: np.ndarray) -> np.ndarray:
    """Of the classes as frequent as in the pictures themselves: labels are judged beside how rare their class is.

    A network that was trained for classes of equal weight would find rare ones everywhere.
    """
    logits = logits.astype("float64")
    if run.calibration.exists():  # runs of version 0.1 have none
        calibration = run.read_json(run.calibration)
        offsets = prior_offsets(calibration["trained_mix"], about["class_counts"])
        logits = Adjustment(calibration.get("temperature", 1.0), offsets).of(logits)
    return softmax(logits, axis=1)


def _runs_in(folder: Path) -> list[RunFolder]:
    candidates = [folder] if (folder / "settings.json").exists() else sorted(folder.glob("runs/*"))
    found = [run for each in candidates if each.is_dir() and (run := RunFolder(each)).predictions.exists()]
    if not found:
        raise UserError(f"{folder} is not the folder of a finished run, or of a comparison with finished runs.")
    without = [run for run in found if not run.pictures.exists()]
    if without:
        raise UserError(f"{without[0].path} is not a run on your own pictures: it has no pictures.csv.")
    return found
