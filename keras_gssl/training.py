"""One experiment from its settings: build, fit, resume, evaluate, save."""

from __future__ import annotations

import dataclasses
import os
import platform
import time
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

import keras_gssl
from keras_gssl import backbones
from keras_gssl.data import ImageData
from keras_gssl.gating import GATES
from keras_gssl.losses import LDAMLoss
from keras_gssl.metrics import evaluate_logits
from keras_gssl.model import GatedSSLModel
from keras_gssl.optimizers import SGD
from keras_gssl.progress import EpochReport
from keras_gssl.run_folder import EpochWriter, RunFolder, finish, save_model, write_json
from keras_gssl.schedules import DeferredReweighting, StepSchedule, scale_milestones
from keras_gssl.tasks import Flip, LoRotE, PretextTask, ShuffleChannels

TASK_NAMES = ("lorot", "flip", "channels")
ORDER_OF_ACTION = ("flip", "lorot", "channels")
Settings = TypeVar("Settings", bound="TrainingSettings")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def setting(default: Any, help: str, choices: tuple[Any, ...] | None = None) -> Any:
    """A dataclass field with the help text and choices that the command line shows."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """Settings of one training run; the defaults are the paper's for CIFAR (spec of LDAM-DRW and G-SSL code)."""

    tasks: tuple[str, ...] = setting(TASK_NAMES, "pretext tasks; none for plain supervised training", TASK_NAMES)
    gating: str = setting("frozen", "how the pretext losses are weighed", tuple(GATES))
    ssl_ratio: float = setting(0.1, "weight of the pretext losses; 0 keeps the transforms as augmentation alone")
    flip_axis: str = setting("rows", "which axis the flip task reverses", ("rows", "columns"))
    loss: str = setting("ldam", "class loss: LDAM with deferred re-weighting, or plain cross-entropy", ("ldam", "ce"))
    depth: int = setting(32, "layers of the CIFAR ResNet: 8, 14, 20, 32, 44, ...")
    epochs: int = setting(200, "passes over the training images")
    batch_size: int = setting(128, "images per step")
    learning_rate: float = setting(0.1, "learning rate after the warm-up")
    warmup_epochs: int = setting(5, "epochs in which the learning rate rises linearly")
    momentum: float = setting(0.9, "momentum of SGD")
    weight_decay: float = setting(2e-4, "L2 factor in the gradient")
    drop_epochs: tuple[int, ...] = setting(
        (160, 180), "epochs at which the learning rate is divided by 100, for 200 epochs"
    )
    reweight_epoch: int = setting(160, "epoch from which classes are re-weighted (loss ldam), for 200 epochs")
    seed: int = setting(0, "seed of weights, shuffling, augmentation and tasks")
    precision: str = setting("float32", "Keras dtype policy", PRECISIONS)
    validation_freq: int = setting(1, "evaluate on the test set every so many epochs")
    run_dir: str | None = setting(None, "folder of the run; default runs/NAME, or the next free runs/NAME-2, ...")
    quick: bool = setting(False, "a trial of seconds: few images, few epochs, a small network")
    resume: bool = setting(False, "go on after the last finished epoch of --run-dir")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            choices, value = field.metadata["choices"] or (), getattr(self, field.name)
            wrong = [each for each in (value if isinstance(value, tuple) else (value,)) if each not in choices]
            if choices and wrong:
                raise ValueError(f"{field.name} must be one of {', '.join(map(str, choices))}; received {wrong[0]!r}")
        for name in ("epochs", "batch_size", "validation_freq"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, received {getattr(self, name)}")
        for name in ("ssl_ratio", "weight_decay", "warmup_epochs", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, received {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, received {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be at least 0 and below 1, received {self.momentum}")
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, ...), received {self.depth}")
        if list(self.drop_epochs) != sorted(set(self.drop_epochs)):
            raise ValueError(f"drop_epochs must rise, received {' '.join(map(str, self.drop_epochs))}")

    #: Length of the run for which `drop_epochs` and `reweight_epoch` are given.
    full_epochs = 200

    def effective(self: Settings) -> Settings:
        """What is really run: these settings, or with `quick` those of a trial of seconds."""
        if not self.quick:
            return self
        return dataclasses.replace(self, epochs=min(self.epochs, 2), batch_size=min(self.batch_size, 32), depth=8)

    def make_tasks(self) -> list[PretextTask]:
        """The tasks in the order in which the paper applies them, whatever order they were named in."""
        known = {"flip": Flip(axis=self.flip_axis), "lorot": LoRotE(), "channels": ShuffleChannels()}
        return [known[name] for name in ORDER_OF_ACTION if name in self.tasks]


def milestones(settings: TrainingSettings) -> tuple[tuple[int, ...], int]:
    """Epochs of the learning rate's drops and of the start of re-weighting, for this length of run."""
    *drops, reweight = scale_milestones(
        (*settings.drop_epochs, settings.reweight_epoch), settings.epochs, settings.full_epochs
    )
    return tuple(drops), reweight


def build_model(settings: TrainingSettings, data: ImageData) -> GatedSSLModel:
    """The compiled model of these settings, with initial weights drawn from `settings.seed`."""
    keras.config.set_dtype_policy(settings.precision)
    keras.utils.set_random_seed(settings.seed)
    uses_ldam = settings.loss == "ldam"
    model = GatedSSLModel(
        backbones.resnet_cifar(settings.depth, data.image_shape),
        num_classes=data.num_classes,
        tasks=settings.make_tasks(),
        ssl_ratio=settings.ssl_ratio,
        gating=settings.gating,
        heads="cosine" if uses_ldam else "dense",
    )
    model.compile(
        optimizer=SGD(settings.learning_rate, settings.momentum, settings.weight_decay),
        loss=LDAMLoss(data.class_counts) if uses_ldam else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(
    settings: TrainingSettings, data: ImageData, folder: RunFolder, resume: bool = False, report_every: int = 1
) -> dict[str, Any]:
    """Run the experiment, or the rest of it, and write everything into `folder`.

    Args:
        settings: Settings.
        data: Images.
        folder: A new folder, or with `resume` the folder of a run of the same settings.
        resume: Go on after the last finished epoch. The result equals that of an uninterrupted run.
        report_every: Print a line every so many epochs; only with 1 is there a progress bar within the epoch.

    Returns:
        What `metrics.json` holds.
    """
    finished, checkpoint = folder.checkpoint() if resume else (0, None)
    if not resume:
        folder.start(settings_to_json(settings), data)
    settings = settings.effective()
    if checkpoint is None:
        model = build_model(settings, data)
    else:
        keras.config.set_dtype_policy(settings.precision)
        model = keras.models.load_model(checkpoint)
        print(f"Resuming {folder.path} after {finished} of {settings.epochs} epochs.")
    if finished < settings.epochs:
        _fit(model, settings, data, folder, finished, report_every)
        finish(folder)
    return evaluate(model, settings, data, folder)


def _fit(
    model: GatedSSLModel,
    settings: TrainingSettings,
    data: ImageData,
    folder: RunFolder,
    finished: int,
    report_every: int,
) -> None:
    drops, reweight_epoch = milestones(settings)
    if settings.epochs < settings.full_epochs:
        print(
            f"A run of {settings.epochs} epochs instead of {settings.full_epochs}: learning rate drops at epochs "
            f"{', '.join(map(str, drops))}"
            + (f", re-weighting from {reweight_epoch}." if settings.loss == "ldam" else ".")
        )
    schedule = StepSchedule(
        settings.learning_rate, settings.warmup_epochs, {epoch: 0.01 ** (i + 1) for i, epoch in enumerate(drops)}
    )
    callbacks: list[keras.callbacks.Callback] = [schedule, EpochTimer()]
    if settings.loss == "ldam":
        callbacks.append(DeferredReweighting(data.class_counts, reweight_epoch))
    callbacks += [
        EpochWriter(folder, finished),
        keras.callbacks.TensorBoard(folder.tensorboard, write_graph=False),
        EpochReport(report_every),
    ]
    model.fit(
        data.train(settings.batch_size, model.tasks, settings.seed),
        validation_data=data.test(),
        validation_freq=settings.validation_freq,
        epochs=settings.epochs,
        initial_epoch=finished,
        callbacks=callbacks,
        verbose=0,  # EpochReport says what matters
    )


class EpochTimer(keras.callbacks.Callback):
    """Adds the epoch's seconds, evaluation included, to the logs."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["seconds"] = time.monotonic() - self._start


def evaluate(model: GatedSSLModel, settings: TrainingSettings, data: ImageData, folder: RunFolder) -> dict[str, Any]:
    """Metrics of the last and of the best epoch; writes the classifier and `metrics.json`."""
    rows = folder.read_history(settings.epochs)
    classifier = model.classifier()
    save_model(classifier, folder.classifier)
    evaluated = [row for row in rows if row.get("val_accuracy")]
    best = max(evaluated, key=lambda row: float(row["val_accuracy"]), default=rows[-1])
    drops, reweight_epoch = milestones(settings)
    results = {
        "last_epoch": {"epoch": int(rows[-1]["epoch"]), **test_metrics(classifier, data)},
        "best_epoch": {
            "epoch": int(best["epoch"]),
            "note": "chosen on the test set, as in the paper: optimistic",
            **test_metrics(keras.models.load_model(folder.best).classifier(), data),
        },
        "settings": settings_to_json(settings),
        "full_length": settings.epochs >= settings.full_epochs and not settings.quick,
        "milestones": {"learning_rate_drops": list(drops), "reweighting": reweight_epoch},
        "data": {"name": data.name, "class_counts": data.class_counts, "subset_sha256": data.subset_hash},
        "wall_time_seconds": round(sum(float(row["seconds"]) for row in rows), 1),
        "versions": {
            "keras_gssl": keras_gssl.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
        },
        "hardware": hardware(),
    }
    write_json(folder.metrics, results)
    return results


def test_metrics(classifier: keras.Model, data: ImageData) -> dict[str, Any]:
    """Metrics of a classifier on all test images."""
    signature = [tf.TensorSpec((None, *data.image_shape), tf.float32)]
    predict = tf.function(lambda images: classifier(images, training=False), input_signature=signature)
    logits = np.concatenate([predict(images).numpy() for images, _ in data.test()])
    return evaluate_logits(data.test_labels, logits, data.class_counts)


def hardware() -> str:
    """The devices TensorFlow computes on, as text."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return ", ".join([*gpus, f"{os.cpu_count()} CPU cores ({model})"])


def settings_to_json(settings: TrainingSettings) -> dict[str, Any]:
    """Settings of the experiment; where it is kept and whether it was resumed is not one of them."""
    return {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in ("run_dir", "resume", "data_dir")
    }
