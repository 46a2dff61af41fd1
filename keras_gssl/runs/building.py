"""From settings to what is trained: model, optimizer, batches, and what changes over the epochs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.callbacks import DeferredReweighting, FreezeBackbone, RetrainClassifier, StepSchedule
from keras_gssl.data.augmentations.catalogue import AUGMENTATIONS
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.mixing import MIXINGS
from keras_gssl.data.pipeline import TrainingSet
from keras_gssl.errors import UserError
from keras_gssl.losses import LDAMLoss, LogitAdjustedLoss, class_balanced_weights
from keras_gssl.metrics import ClassAccuracy, shot_groups
from keras_gssl.models.backbones import make_backbone
from keras_gssl.models.distillation import Distillation
from keras_gssl.models.gated import GatedSSLModel
from keras_gssl.models.level_update import LevelUpdate
from keras_gssl.models.sla_sd import SLASDModel
from keras_gssl.models.supervised import HEADS, SupervisedModel
from keras_gssl.optimizers.adamw import AdamW
from keras_gssl.optimizers.by_part import StepsByPart
from keras_gssl.optimizers.muon import Muon
from keras_gssl.optimizers.sgd import SGD
from keras_gssl.pretext.controls import ConstantGate
from keras_gssl.pretext.draw import TaskDraw
from keras_gssl.pretext.steering import STEERING
from keras_gssl.randomness import seeded
from keras_gssl.runs.checkpoints import load_model
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.schedules import InTurn, ToZero


def build_model(settings: TrainingSettings, data: ImageData) -> SupervisedModel:
    """The compiled model of these settings, with initial weights drawn from `settings.seed`."""
    with seeded(settings.seed):
        return _build_model(settings, data)


def _build_model(settings: TrainingSettings, data: ImageData) -> SupervisedModel:
    backbone, heads = backbone_of(settings, data), heads_of(settings)
    shared: dict[str, Any] = {
        "average": settings.average,
        "distillation": _distillation(settings, data),
        "backbone_learning_rate_factor": settings.backbone_learning_rate_factor,
    }
    model: SupervisedModel
    if settings.label_augmentation == "sla-sd":
        model = SLASDModel(backbone, data.num_classes, heads, **shared)
    else:
        model = GatedSSLModel(
            backbone,
            data.num_classes,
            settings.make_tasks(),
            "auto" if settings.gradient_ratio else settings.ssl_ratio,
            ConstantGate(weights=settings.gate_weights) if settings.gate_weights else settings.gating,
            heads,
            settings.seed,
            task_heads=settings.task_heads,
            task_map=settings.task_map if settings.tasks else None,
            joint_labels=settings.joint_labels,
            draw=_draw(settings),
            steering=None if settings.steering == "none" or not settings.tasks else settings.steering,
            gradient_ratio=settings.gradient_ratio,
            **shared,
        )
    model.compile(
        optimizer=make_optimizer(settings, data),
        loss=_loss(settings, data),
        metrics=["accuracy", *_of_classes(data)],
        steps_per_execution=steps_per_execution(settings, data),
    )
    return model


def _of_classes(data: ImageData) -> list[keras.metrics.Metric]:
    """Accuracy on the classes with few images, where there are some, and with validation images, whose tail is as long
    as that of the training, the balanced accuracy: what long tails are trained for."""
    rare = shot_groups(data.class_counts)["few"]
    few = [ClassAccuracy(data.num_classes, rare.tolist(), name="few")] if 0 < len(rare) < data.num_classes else []
    return few if data.validation_labels is None else [*few, ClassAccuracy(data.num_classes)]


def backbone_of(settings: TrainingSettings, data: ImageData) -> keras.Model:
    try:
        return make_backbone(settings.backbone, data.image_shape, settings.backbone_weights)
    except UserError:
        raise
    except ValueError as error:  # such as images that are too small for it
        raise UserError(f"{str(error).splitlines()[0]} (settings backbone, backbone_weights)") from error


def scaled_for(settings: TrainingSettings, data: ImageData) -> ImageData:
    """The data with the mean and standard deviation that the backbone's first weights expect.

    Raises:
        UserError: The network does not fit; before a folder is made, so that a corrected call can use it.
    """
    if settings.backbone.startswith("resnet") and not settings.backbone_weights:
        return data
    pixels = getattr(backbone_of(settings, data), "preprocessing", None)
    if pixels is None:
        return data
    return dataclasses.replace(data, mean=tuple(pixels.mean.tolist()), std=tuple(pixels.std.tolist()))


def steps_per_execution(settings: TrainingSettings, data: ImageData) -> int:
    """A whole epoch on GPUs, which would else wait for Python between steps; one step on CPUs, for the progress bar."""
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return epoch_length(settings, data) if on_gpu else 1


def epoch_length(settings: TrainingSettings, data: ImageData) -> int:
    return -(-len(data.train_labels) // settings.batch_size)


def heads_of(settings: TrainingSettings) -> str:
    if settings.class_head != "auto":
        return settings.class_head
    return "dense" if settings.loss in ("ce", "class-balanced") else "cosine"


def _loss(settings: TrainingSettings, data: ImageData) -> keras.losses.Loss:
    if settings.loss == "ldam":
        return LDAMLoss(data.class_counts)
    if settings.loss == "balanced":
        scale = HEADS["cosine"] if heads_of(settings) == "cosine" else None
        return LogitAdjustedLoss(data.class_counts, settings.adjustment, scale, settings.margin)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def trained_mix(settings: TrainingSettings, class_counts: Sequence[int]) -> list[float]:
    """Share of each class that the logits stand for, as far as the settings say: what a prior is to be set against.

    Cross-entropy gives the mix of the training images; a loss that weighs classes, their weighted mix; balanced softmax
    and a classifier that was re-trained with it or with balanced batches, equal shares.
    """
    mix = np.asarray(class_counts, "float64")
    if settings.retrain_epochs and settings.loss == "ce":  # whose head is re-trained on balanced batches
        mix = np.ones_like(mix)
    elif settings.loss == "balanced":
        mix = mix ** (1 - settings.adjustment)
    elif reweighting_epoch(settings) is not None:
        mix = mix * class_balanced_weights(class_counts)
    return (mix / mix.sum()).tolist()


def reweighting_epoch(settings: TrainingSettings) -> int | None:
    """The epoch from which classes are weighed by their number of images; None if they never are."""
    if settings.loss == "class-balanced":
        return 0
    return settings.milestones()[1] if settings.loss == "ldam" else None


def _draw(settings: TrainingSettings) -> TaskDraw:
    until = settings.altered_epochs if settings.altered_epochs < settings.epochs else None
    placement = settings.draw if settings.steering == "none" else STEERING[settings.steering].placement
    return TaskDraw(placement, settings.share, until)


def _distillation(settings: TrainingSettings, data: ImageData) -> Distillation | None:
    if not settings.distil:
        return None
    files = [RunFolder(folder).classifier for folder in settings.distil]
    for file in files:
        if not file.exists():
            raise UserError(f"distil names finished runs; there is no {file}.")
    teachers = [load_model(RunFolder.around(file), file) for file in files]
    for file, teacher in zip(files, teachers, strict=True):
        if teacher.input_shape[1:] != data.image_shape or teacher.output_shape[-1] != data.num_classes:
            raise UserError(
                f"{file} takes images of {teacher.input_shape[1:]} and tells {teacher.output_shape[-1]} classes apart; "
                f"the data has images of {data.image_shape} and {data.num_classes} classes (setting distil)."
            )
    return Distillation(teachers, settings.distil_weight)


def make_optimizer(settings: TrainingSettings, data: ImageData) -> StepsByPart:
    """SGD, AdamW or Muon; its learning rate is a schedule of its own unless `StepSchedule` sets it epoch by epoch."""
    rate: Any = settings.learning_rate
    if settings.schedule != "steps":
        steps, retrained = (
            count * epoch_length(settings, data)
            for count in (settings.epochs - settings.retrain_epochs, settings.retrain_epochs)
        )
        warmup = settings.warmup_epochs * epoch_length(settings, data)
        rate = ToZero(settings.learning_rate, steps, warmup, settings.schedule)
        if retrained:
            rate = InTurn(
                [rate, ToZero(settings.learning_rate, retrained, shape=settings.schedule)], [steps, retrained]
            )
    if settings.optimizer == "adamw":
        return AdamW(rate, settings.weight_decay, settings.momentum)
    kind = Muon if settings.optimizer == "muon" else SGD
    return kind(rate, settings.momentum, settings.weight_decay, settings.nesterov)


def training_batches(settings: TrainingSettings, data: ImageData, model: SupervisedModel) -> TrainingSet:
    """The batches that a model is trained on; where it draws the tasks itself they are left to it."""
    sizes = {"cutout": (data.image_shape[0] // 2,)}
    kind = MIXINGS[settings.mixing]
    mixing = kind(share=settings.mixing_share, balanced=True, until_epoch=settings.altered_epochs) if kind else None
    return data.train(
        settings.batch_size,
        () if getattr(model, "draws_here", False) else getattr(model, "tasks", ()),
        settings.seed,
        [AUGMENTATIONS[name](*sizes.get(name, ())) for name in settings.augmentations],
        mixing,
        _draw(settings),
    )


def stage_callbacks(
    settings: TrainingSettings, data: ImageData, batches: TrainingSet
) -> list[keras.callbacks.Callback]:
    """What changes in the course of the epochs."""
    callbacks: list[keras.callbacks.Callback] = []
    if settings.freeze_epochs:
        callbacks.append(FreezeBackbone(settings.freeze_epochs))
    start = reweighting_epoch(settings)
    if start is not None:
        callbacks.append(DeferredReweighting(data.class_counts, start))
    if settings.retrain_epochs:
        counts = data.class_counts if settings.loss == "ce" else None
        callbacks.append(RetrainClassifier(settings.epochs - settings.retrain_epochs, counts))
    if settings.steering == "levels" and settings.tasks:
        callbacks.append(LevelUpdate(batches))
    return callbacks


def rate_callback(settings: TrainingSettings) -> keras.callbacks.Callback:
    """Sets the learning rate, or tells the one that the optimizer's schedule has come to."""
    if settings.schedule != "steps":
        return RateLog()
    drops, _ = settings.milestones()
    factors = {epoch: settings.drop_factor ** (i + 1) for i, epoch in enumerate(drops)}
    return StepSchedule(settings.learning_rate, settings.warmup_epochs, factors)


class RateLog(keras.callbacks.Callback):
    """Adds the learning rate after the epoch's last step to the logs."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
