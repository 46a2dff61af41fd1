"""Settings of a training run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from keras_gssl.choices import (
    AUGMENTATIONS,
    GATES,
    MIXINGS,
    PLACEMENTS,
    PRECISIONS,
    SHAPES,
    STEERING,
    TASK_HEADS,
    TASKS,
)
from keras_gssl.milestones import scale_milestones
from keras_gssl.models.names import check_backbone_name
from keras_gssl.runs.checks import check_fields
from keras_gssl.runs.presets import PRESETS, preset_values

if TYPE_CHECKING:
    from keras_gssl.pretext.tasks import PretextTask

Settings = TypeVar("Settings", bound="TrainingSettings")

QUICK_EPOCHS = 2  # of a trial

#: Class losses, and what training with each is called.
LOSSES: Mapping[str, str] = {
    "ldam": "ldam-drw", "ce": "ce", "balanced": "balanced", "class-balanced": "class-balanced",
}  # fmt: skip


def setting(default: Any, help: str, choices: tuple[Any, ...] | None = None, positional: str | None = None) -> Any:
    """A dataclass field with the help text and choices that the command line shows.

    `positional` is what it calls a setting that is given without an option's name.
    """
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "positional": positional})


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training run; the defaults are the paper's for CIFAR (LDAM-DRW and G-SSL code)."""

    tasks: tuple[str, ...] = setting(
        ("lorot", "flip", "channels"), "pretext tasks; none for plain supervised training", TASKS
    )
    recipe: str = setting(
        "paper", "settings that belong together, beneath all others: the paper's, or what works better", tuple(PRESETS)
    )
    gating: str = setting("frozen", "how the pretext losses are weighed", GATES)
    ssl_ratio: float = setting(0.1, "weight of the pretext losses; 0 keeps the transforms as augmentation alone")
    flip_axis: str = setting("rows", "which axis the flip task reverses", ("rows", "columns"))
    gate_weights: tuple[float, ...] = setting((), "weights of the tasks, in their order, in place of a gate")
    gradient_ratio: float = setting(
        0.0, "hold the pretext gradient at so many times the class gradient, in place of a fixed ssl_ratio; 0 does not"
    )
    task_heads: str = setting("class", "heads of the pretext tasks; class: like the class head", TASK_HEADS)
    task_map: str | None = setting(None, "feature map that these heads look at: a layer's name, or last")
    joint_labels: bool = setting(False, "pretext heads tell class and alteration together")
    draw: str = setting("together", "all tasks on one quadrant, one task per image, or a quadrant for each", PLACEMENTS)
    share: float = setting(1.0, "share of the images that are altered")
    steering: str = setting("none", "give each class the alterations that it can bear", ("none", *STEERING))
    loss: str = setting(
        "ldam",
        "class loss: LDAM with deferred re-weighting, cross-entropy, balanced softmax, or cross-entropy with classes "
        "weighed by their number of images",
        tuple(LOSSES),
    )
    adjustment: float = setting(1.0, "how much of the class frequencies balanced softmax takes out")
    margin: float = setting(
        0.0, "lead in cosine that balanced softmax wants of the true class: 0.2 where pictures are few and easy"
    )
    class_head: str = setting(
        "auto", "class head; auto: dense for cross-entropy, else cosine", ("auto", "dense", "cosine")
    )
    pretraining: str = setting(
        "none", "train the backbone first, for as many epochs, to tell rotations apart (SSP)", ("none", "rotation")
    )
    label_augmentation: str = setting(
        "none", "predict class and rotation of whole images jointly, with self-distillation", ("none", "sla-sd")
    )
    backbone: str = setting(
        "resnet32",
        "network: resnet8, ..., resnet32, ..., resnet18_imagenet, resnet18_small, MobileNetV2, ResNet50, ..., or "
        "keras_hub:PRESET",
    )
    backbone_weights: str | None = setting(
        None, "what the backbone starts from: a file of weights, a .keras file of a run, or imagenet"
    )
    freeze_epochs: int = setting(0, "first epochs in which the heads alone are trained, on the backbone as it is")
    backbone_learning_rate_factor: float = setting(1.0, "smaller steps for the backbone than for the heads")
    epochs: int = setting(200, "passes over the training images")
    batch_size: int = setting(128, "images per step")
    learning_rate: float = setting(0.1, "learning rate after the warm-up")
    warmup_epochs: int = setting(5, "epochs in which the learning rate rises linearly")
    optimizer: str = setting("sgd", "rule by which weights are moved", ("sgd", "adamw", "muon"))
    schedule: str = setting("steps", "how the learning rate falls", ("steps", *SHAPES))
    momentum: float = setting(0.9, "momentum of SGD and Muon")
    nesterov: bool = setting(False, "Nesterov's momentum")
    average: float = setting(0.0, "momentum of a running mean of the weights, which is what is used; 0 for none")
    weight_decay: float = setting(2e-4, "L2 factor in the gradient; Muon leaves kernels out")
    drop_epochs: tuple[int, ...] = setting(
        (160, 180), "epochs at which the learning rate drops, for 200 epochs; shorter runs scale them"
    )
    drop_factor: float = setting(0.01, "what the learning rate is multiplied by at each drop")
    reweight_epoch: int = setting(160, "epoch from which classes are re-weighted (loss ldam), for 200 epochs")
    augmentations: tuple[str, ...] = setting((), "what else is done to training images", AUGMENTATIONS)
    mixing: str = setting("none", "mix training images of two, the second from a class-balanced draw", MIXINGS)
    mixing_share: float = setting(0.5, "share of the images that are mixed")
    plain_epochs: int = setting(0, "last epochs, before a classifier is re-trained, without alteration and mixing")
    retrain_epochs: int = setting(0, "last epochs in which a new class head alone is trained, on plain images")
    teachers: int = setting(0, "train so many networks of these settings first, and learn from them, too")
    distil: tuple[str, ...] = setting((), "folders of finished runs on the same data to learn from, too")
    distil_weight: float = setting(1.0, "weight of what is learned from them")
    seed: int = setting(0, "seed of weights, shuffling, augmentation and tasks")
    precision: str = setting("auto", "Keras dtype policy; auto: mixed_bfloat16 where it is faster", PRECISIONS)
    devices: int = setting(1, "train on so many GPUs of this machine, sharing every batch out among them")
    validation_freq: int = setting(1, "evaluate on the test set every so many epochs")
    run_dir: str | None = setting(None, "folder of the run; default runs/NAME, or the next free runs/NAME-2, ...")
    quick: bool = setting(False, "a trial of seconds: few images, few epochs, a small network")
    resume: bool = setting(False, "go on where the run in run_dir stopped")

    def __post_init__(self) -> None:
        check_fields(self)
        self._check_stages()
        check_backbone_name(self.backbone)
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks must differ from each other, received {' '.join(self.tasks)}")
        if list(self.drop_epochs) != sorted(set(self.drop_epochs)):
            raise ValueError(f"drop_epochs must rise, received {' '.join(map(str, self.drop_epochs))}")
        if self.gate_weights and len(self.gate_weights) != len(self.tasks):
            raise ValueError(
                f"gate_weights must be one for each of the tasks {' '.join(self.tasks)}; received "
                f"{' '.join(map(str, self.gate_weights))}"
            )
        if self.margin and self.loss == "balanced" and self.class_head == "dense":
            raise ValueError(f"margin needs cosines: received margin {self.margin:g} with class_head dense")
        if self.label_augmentation != "none" and self.tasks:
            raise ValueError(
                f"label_augmentation {self.label_augmentation} takes no pretext tasks, "
                f"received {' '.join(self.tasks)}: leave the tasks empty"
            )

    def _check_stages(self) -> None:
        if self.quick:  # which shortens them
            return
        if self.freeze_epochs + self.retrain_epochs >= self.epochs:
            raise ValueError(
                f"freeze_epochs and retrain_epochs must leave epochs in which everything is trained: received "
                f"{self.freeze_epochs} and {self.retrain_epochs} of {self.epochs}"
            )
        if self.plain_epochs + self.retrain_epochs >= self.epochs:
            raise ValueError(
                f"plain_epochs and retrain_epochs, the last ones, must leave some before them: received "
                f"{self.plain_epochs} and {self.retrain_epochs} of {self.epochs}; give more epochs, or fewer of these"
            )
        if self.schedule != "steps" and self.warmup_epochs >= self.epochs - self.retrain_epochs:
            raise ValueError(
                f"warmup_epochs must be fewer than the epochs before the classifier is re-trained, received "
                f"{self.warmup_epochs} of {self.epochs - self.retrain_epochs}"
            )

    #: Length of the run for which `drop_epochs` and `reweight_epoch` are given.
    full_epochs = 200
    #: What lies beneath the settings where no recipe is given.
    default_recipe: ClassVar[str] = "paper"

    @classmethod
    def preset(cls, recipe: str, epochs: int | None = None) -> dict[str, Any]:
        """What a recipe sets in this kind of experiment, in a run of so many epochs or of its own length."""
        return preset_values(recipe, cls.full_epochs, epochs)

    @property
    def method(self) -> str:
        """The name in `METHODS` of what these settings do; pretraining before another method is `ssp+<method>`."""
        plain = LOSSES[self.loss]
        if self.label_augmentation != "none":
            method = self.label_augmentation
        elif not self.tasks:
            method = plain
        elif self.ssl_ratio == 0 and self.gradient_ratio == 0:
            method = "augment-only"
        elif self.tasks == ("lorot",):
            method = "lorot-e"
        else:
            method = "sum" if self.gating == "none" or len(self.tasks) == 1 else "moe"
        if self.pretraining == "none":
            return method
        return "ssp" if method == plain else f"ssp+{method}"

    def effective(self: Settings) -> Settings:
        """What is really run: these settings, or with `quick` those of a trial of seconds."""
        if not self.quick:
            return self
        stage = 0 if self.epochs == 1 else 1  # epochs that a last stage may have
        return dataclasses.replace(
            self,
            epochs=min(self.epochs, QUICK_EPOCHS),
            batch_size=min(self.batch_size, 32),
            warmup_epochs=self.warmup_epochs if self.schedule == "steps" else 0,
            plain_epochs=0 if self.retrain_epochs else min(self.plain_epochs, stage),
            retrain_epochs=min(self.retrain_epochs, stage),
            freeze_epochs=0 if self.retrain_epochs else min(self.freeze_epochs, stage),
            backbone="resnet8",
            backbone_weights=None,
        )

    def make_tasks(self) -> list[PretextTask]:
        """The tasks in the order in which the paper applies them, whatever order they were named in."""
        from keras_gssl.pretext.tasks import make_tasks

        return make_tasks(self.tasks, self.flip_axis)

    def milestones(self) -> tuple[tuple[int, ...], int]:
        """Epochs of the learning rate's drops and of the start of re-weighting, for this length of run."""
        *drops, reweight = scale_milestones((*self.drop_epochs, self.reweight_epoch), self.epochs, self.full_epochs)
        return tuple(drops), reweight

    @property
    def planned_epochs(self) -> int:
        """Length of the run that the recipe is for."""
        return self.preset(self.recipe).get("epochs", type(self).epochs)

    @property
    def altered_epochs(self) -> int:
        """How many epochs there are with alteration and mixing, where they are not there to the end."""
        return self.epochs - self.plain_epochs - self.retrain_epochs

    def to_json(self) -> dict[str, Any]:
        """Settings of the experiment; where it is kept and whether it was resumed is not one of them."""
        return {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in ("run_dir", "resume", "data_dir", "source")
        }


def with_default(name: str, default: Any) -> Any:
    """A field for the settings of a recipe: that of `TrainingSettings` with another default."""
    (field,) = [each for each in dataclasses.fields(TrainingSettings) if each.name == name]
    return dataclasses.field(default=default, metadata=field.metadata)
