"""From a run's calibration to a classifier whose probabilities can be used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.choices import PRIORS
from keras_gssl.errors import UserError
from keras_gssl.export.deployable import Deployable
from keras_gssl.probabilities import Adjustment, precision_thresholds, prior_offsets, rarity_offsets
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder


def calibrate(
    model: Deployable,
    source: str | Path,
    calibrated: bool = False,
    prior: str | Sequence[float] | None = None,
    towards_rare: float = 0.0,
) -> Deployable:
    """The classifier of a run with a temperature, another class mix, and thresholds for abstaining.

    Args:
        model: The run's classifier.
        source: The run's folder, or its `classifier.keras` or `last.keras`: the calibration is that of the last epoch.
        calibrated: Divide the logits by the temperature that the validation pictures ask for.
        prior: The class mix that is expected in use: `"uniform"`, `"training"`, or a share for each class. None: the
            one that the training made.
        towards_rare: Name rare classes more often, see `probabilities.rarity_offsets`, by so much as the report of the
            run shows; its probabilities no longer stand for a class mix, so there is no `prior` beside it.

    Returns:
        The same classifier with that in its last layer, and, where the run has validation pictures, with the thresholds
        that belong to it.

    Raises:
        UserError: The folder does not hold what is needed, or both `prior` and `towards_rare` are given.

    Example:

    >>> model = gssl.export.load_deployable("runs/image_folder")  # doctest: +SKIP
    >>> model = calibrate(model, "runs/image_folder", calibrated=True)  # doctest: +SKIP
    """
    if prior is not None and towards_rare:
        raise UserError(
            f"A class mix and a strength towards rare classes move logits between the same classes: give one of them, "
            f"received both ({prior} and {towards_rare:g})."
        )
    path = Path(source)
    folder = RunFolder.around(path)
    of_last_epoch = path.is_dir() or path.name in (folder.classifier.name, folder.last.name)
    if not (of_last_epoch and folder.manifest.check_if_noted(folder.calibration)):
        if calibrated or prior is not None:
            raise UserError(
                f"There is no calibration.json for {path}: calibrating and setting a class mix need the folder of a "
                f"run that was finished with this version, or its classifier.keras."
            )
        return model.adjusted(Adjustment(offsets=_leaning(folder, towards_rare))) if towards_rare else model
    known = folder.read_json(folder.calibration)
    if calibrated and "temperature" not in known:
        raise UserError(
            f"The run in {folder.path} has no validation pictures to calibrate on: train with some (validation)."
        )
    mix, temperature = _mix(prior, read_description(folder)), known["temperature"] if calibrated else 1.0
    offsets = None if mix is None else prior_offsets(known["trained_mix"], mix)
    if towards_rare:
        offsets = _leaning(folder, towards_rare / temperature)  # it is a strength for the logits as trained
    adjustment = Adjustment(temperature, offsets)
    thresholds = _thresholds(folder, adjustment, mix) if "temperature" in known else {}
    if adjustment == Adjustment() and not thresholds:
        return model
    return model.adjusted(adjustment, thresholds)


def _leaning(folder: RunFolder, strength: float) -> tuple[float, ...]:
    if not folder.data.exists():
        raise UserError(
            f"A strength towards rare classes needs the number of training pictures of each: give the folder of a run, "
            f"or a model in it; there is no data.json in {folder.path}."
        )
    return rarity_offsets(read_description(folder)["class_counts"], strength)


def _mix(prior: str | Sequence[float] | None, about: dict[str, Any]) -> Sequence[float] | None:
    if prior is None or not isinstance(prior, str):
        return prior
    if prior not in PRIORS:
        raise UserError(f"prior must be one of {', '.join(PRIORS)}, or a share for each class; received {prior!r}.")
    counts = about["class_counts"]
    return counts if prior == "training" else [1.0] * len(counts)


def _thresholds(folder: RunFolder, adjustment: Adjustment, mix: Sequence[float] | None) -> dict[str, float | None]:
    stored = folder.read_arrays(folder.predictions, "validation_labels", "validation_logits")
    labels, logits = stored["validation_labels"], stored["validation_logits"]
    return precision_thresholds(labels, adjustment.of(logits), None if mix is None else np.divide(mix, np.sum(mix)))
