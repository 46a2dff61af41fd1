"""What a finished run is worth, as it stands in `metrics.json` and in the ledger of the tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.errors import UserError
from keras_gssl.files import read_json, write_json


@dataclasses.dataclass(frozen=True)
class Scores:
    """One classifier on the test images, as fractions of 1; see `keras_gssl.metrics.evaluate_logits`.

    Attributes:
        epoch: After which the classifier was taken, counted from 0.
        accuracy: Share of images that are recognised.
        balanced_accuracy: Mean accuracy of the classes.
        many, medium, few: Mean accuracy of the classes of that size; None where there are none.
        expected_calibration_error: Mean gap between confidence and accuracy.
        per_class: Accuracy of each class; None for one without test images.
        tested: Test images of each class; None in results of version 0.1.
        intervals: 95 % intervals of `accuracy` and `balanced_accuracy` over the test images; None likewise.
        note: How the epoch was chosen, if that matters.
    """

    epoch: int
    accuracy: float
    balanced_accuracy: float | None
    many: float | None
    medium: float | None
    few: float | None
    expected_calibration_error: float
    per_class: Sequence[float | None]
    tested: Sequence[int] | None = None
    intervals: Mapping[str, Sequence[float]] | None = None
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        told = {"epoch": self.epoch, "note": self.note, **dataclasses.asdict(self)}
        came_later = ("note", "tested", "intervals")
        return {key: value for key, value in told.items() if key not in came_later or value is not None}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunResult:
    """A finished run.

    Attributes:
        last_epoch, best_epoch: How good the classifier is then; the best epoch is chosen on the test set.
        method: Name of what the settings do.
        settings: Every setting.
        full_length: Whether the run was as long as its recipe says, the paper's or another.
        milestones: Epochs of the learning rate's drops and of the start of re-weighting.
        data: Name, class counts and hash of the training images.
        wall_time_seconds: Of all epochs, evaluation included.
        versions: Of the packages it was made with.
        precision: The Keras dtype policy that was used; the first results do not say and are of float32.
        hardware: As text.
        recipe: Name of the recipe, in the ledger.
    """

    last_epoch: Scores
    best_epoch: Scores
    method: str
    settings: Mapping[str, Any]
    full_length: bool
    milestones: Mapping[str, Any]
    data: Mapping[str, Any]
    wall_time_seconds: float
    versions: Mapping[str, str]
    precision: str = "float32"
    hardware: str
    recipe: str | None = None

    def to_json(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        recipe = fields.pop("recipe")
        scores = {name: fields.pop(name).to_json() for name in ("last_epoch", "best_epoch")}
        return {**({} if recipe is None else {"recipe": recipe}), **scores, **fields}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RunResult:
        """Raises `KeyError` or `TypeError` where something is missing; what later versions added is passed over."""
        known: dict[str, Any] = {
            field.name: content[field.name]
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING or field.name in content
        }
        for name in ("last_epoch", "best_epoch"):
            known[name] = Scores(**known[name])
        return cls(**known)


def write_result(path: Path, result: RunResult) -> None:
    write_json(path, result.to_json())


def read_result(path: Path) -> RunResult:
    """The result in a file, or `UserError` naming what is wrong with it."""
    try:
        return RunResult.from_json(read_json(path))
    except KeyError as error:
        raise UserError(f"{path} is not a result: it has no {error.args[0]!r}.") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is not a result: {error}.") from error
