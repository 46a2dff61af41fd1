"""One experiment from its settings: build, fit, resume, evaluate, save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_gssl.backend import keras
from keras_gssl.callbacks import StopIfNotFinite
from keras_gssl.data.image_data import ImageData
from keras_gssl.data.pipeline import TrainingSet
from keras_gssl.devices import check_shares, strategy_for
from keras_gssl.files import write_json
from keras_gssl.interrupts import noting_signals
from keras_gssl.models.ssp import RotationPrediction, rotation_model, transfer_backbone
from keras_gssl.models.supervised import SupervisedModel
from keras_gssl.randomness import seeded
from keras_gssl.runs.building import (
    backbone_of,
    build_model,
    make_optimizer,
    rate_callback,
    scaled_for,
    stage_callbacks,
    steps_per_execution,
    training_batches,
)
from keras_gssl.runs.checkpoints import EpochWriter, finish, load_model, save_model, saying_what_is_kept
from keras_gssl.runs.data_description import check_same_data, scaled_as, write_description
from keras_gssl.runs.evaluation import evaluate
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.lock import locked
from keras_gssl.runs.paused import EpochTimer, GoOnWithinEpoch, Paused, PauseWhenAsked, read_paused
from keras_gssl.runs.precision import precision_scope
from keras_gssl.runs.progress import EpochCurves, EpochReport
from keras_gssl.runs.result import RunResult
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.runs.teachers import with_teachers


def train(
    settings: TrainingSettings,
    data: ImageData,
    folder: RunFolder,
    resume: bool = False,
    report_every: int = 1,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> RunResult:
    """Run the experiment, or the rest of it, and write everything into `folder`.

    Args:
        settings: Settings.
        data: Images.
        folder: A new folder, or with `resume` the folder of a run of the same settings.
        resume: Go on where the run stopped, or after the last finished epoch. The result equals that of an
            uninterrupted run.
        report_every: Print a line every so many epochs; only with 1 is there a progress bar within the epoch.
        callbacks: Yours, such as early stopping or a logger; called after the package's own. What they make of the
            model at the end of training (`EarlyStopping(restore_best_weights=True)`) is what is kept and measured.
            Networks that are trained first (`teachers`) do without them.

    Returns:
        What `metrics.json` holds.
    """
    strategy = strategy_for(settings.devices)
    effective = settings.effective()
    check_shares(effective.batch_size, len(data.train_labels), effective.devices)  # before the folder is made
    if not resume:
        folder.make()
    with locked(folder.path), saying_what_is_kept(folder):
        return _train(effective, settings, data, folder, resume, report_every, callbacks, strategy)


def _train(
    settings: TrainingSettings,
    given: TrainingSettings,
    data: ImageData,
    folder: RunFolder,
    resume: bool,
    report_every: int,
    callbacks: Sequence[keras.callbacks.Callback],
    strategy: Any,
) -> RunResult:
    """The same, in a folder that is this process's own; `settings` are those of a trial where `given` ask for one."""
    if resume:
        check_same_data(folder, data)
    data = scaled_as(folder, data) if resume else scaled_for(settings, data)
    finished, checkpoint = folder.checkpoint() if resume else (0, None)
    paused = read_paused(folder, finished)
    if not resume:
        write_description(folder, data)
        with folder.manifest.replacing(folder.settings) as partial:  # last: it marks a run that can be resumed
            write_json(partial, given.to_json())
    _say_if_short(settings)
    built = settings
    if settings.teachers and checkpoint is None and paused is None:  # a state that was saved has them within
        built = with_teachers(settings, data, folder, train, report_every)
    with seeded(settings.seed), strategy.scope(), precision_scope(settings.precision):
        model = _prepare(built, data, folder, finished, checkpoint, paused, report_every)
    if finished < settings.epochs and checkpoint != folder.last:  # which is there once a run has ended, early or not
        batches = training_batches(settings, data, model)
        stages = stage_callbacks(settings, data, batches)
        _fit(model, batches, settings, folder, finished, paused, report_every, stages, data, callbacks)
        if callbacks:
            _, checkpoint = folder.checkpoint()
            save_model(model, folder, checkpoint or folder.last)
    finish(folder)  # also where a run died after its last epoch
    with seeded(settings.seed):
        return evaluate(model, settings, data, folder)


def _prepare(
    settings: TrainingSettings,
    data: ImageData,
    folder: RunFolder,
    finished: int,
    checkpoint: Path | None,
    paused: Paused | None,
    report_every: int,
) -> SupervisedModel:
    """The model as it was left, or a new one, pretrained if the settings say so."""
    state = _as_it_was_left(str(folder.path), settings, folder, finished, checkpoint, paused)
    if state is not None:
        steps = steps_per_execution(settings, data)
        within = paused is not None and paused.steps % steps  # one execution must not reach over where it stopped
        state.steps_per_execution = 1 if within else steps  # of this machine, not of the one that saved it
        return state
    model = build_model(settings, data)
    if settings.pretraining == "rotation":
        pretrained = pretrain(settings, data, RunFolder(folder.path / "pretraining"), report_every)
        count = transfer_backbone(pretrained.backbone, model.backbone)
        print(f"Transferred {count} tensors, all of the backbone; now training on class labels.")
    return model


def pretrain(settings: TrainingSettings, data: ImageData, folder: RunFolder, report_every: int) -> SupervisedModel:
    """Train a backbone to tell rotations apart, or the rest of it, without class labels."""
    folder.path.mkdir(parents=True, exist_ok=True)
    finished, checkpoint = folder.checkpoint()
    paused = read_paused(folder, finished)
    model = _as_it_was_left("the pretraining", settings, folder, finished, checkpoint, paused)
    if model is None:
        with seeded(settings.seed):
            model = rotation_model(backbone_of(settings, data), make_optimizer(settings, data))
    if finished < settings.epochs:
        print("Pretraining: tell the rotation of whole images, without class labels.")
        batches = RotationPrediction(data, settings.batch_size, settings.seed)
        _fit(model, batches, settings, folder, finished, paused, report_every)
    finish(folder)
    return model


def _as_it_was_left(
    name: str,
    settings: TrainingSettings,
    folder: RunFolder,
    finished: int,
    checkpoint: Path | None,
    paused: Paused | None,
) -> SupervisedModel | None:
    """The model of a training that was stopped; None where none was begun."""
    if paused is not None:
        print(f"Resuming {name} after step {paused.steps} of epoch {paused.epoch + 1} of {settings.epochs}.")
        return load_model(folder, paused.path)
    if checkpoint is not None:
        print(f"Resuming {name} after {finished} of {settings.epochs} epochs.")
        return load_model(folder, checkpoint)
    return None


def _say_if_short(settings: TrainingSettings) -> None:
    if settings.epochs < settings.full_epochs and settings.schedule == "steps":
        drops, reweight_epoch = settings.milestones()
        print(
            f"A run of {settings.epochs} epochs instead of {settings.full_epochs}: learning rate drops after epochs "
            f"{', '.join(map(str, drops))}"
            + (f", re-weighting after {reweight_epoch}." if settings.loss == "ldam" else ".")
        )


def _fit(
    model: SupervisedModel,
    batches: TrainingSet,
    settings: TrainingSettings,
    folder: RunFolder,
    finished: int,
    paused: Paused | None,
    report_every: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    data: ImageData | None = None,
    own_callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train; each epoch is evaluated on the validation images of `data`, without any on its test images."""
    validated = data is not None and data.validation_labels is not None
    timer = EpochTimer(paused.seconds if paused else 0.0)
    with noting_signals() as asked:
        model.fit(
            batches.after(paused.steps) if paused else batches,
            validation_data=None if data is None else data.validation() or data.test(),
            validation_freq=_evaluated_epochs(settings),
            epochs=settings.epochs,
            initial_epoch=finished,
            callbacks=[
                rate_callback(settings),
                timer,
                StopIfNotFinite(),  # before anything of the epoch is written
                *callbacks,
                EpochWriter(folder, finished),
                EpochCurves(folder.tensorboard, write_graph=False),
                EpochReport(report_every, "validation" if validated else "test"),
                *own_callbacks,
                PauseWhenAsked(asked, folder, timer, paused),
                *([GoOnWithinEpoch(paused)] if paused else []),
            ],
            verbose=0,  # EpochReport says what matters
        )
    asked.obey()


def _evaluated_epochs(settings: TrainingSettings) -> list[int]:
    """Every so many epochs and after the last, which may be the best. Counted from 1, as Keras does."""
    every = range(settings.validation_freq, settings.epochs, settings.validation_freq)
    return [*every, settings.epochs]
