"""What `fit`, `evaluate` and `predict` take: the package's own data sets, and anything that Keras takes."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_gssl.backend import keras, tf
from keras_gssl.data.evaluation_set import EvaluationSet
from keras_gssl.data.normalisation import complaint_of_pixels
from keras_gssl.data.pipeline import CLASS_KEY, TrainingSet, weights_by_class
from keras_gssl.data.tracing import as_written
from keras_gssl.devices import check_shares
from keras_gssl.losses import class_indices
from keras_gssl.models.label_checks import NO_NUMBERS, check_labels
from keras_gssl.models.watch import Watch

LOOKED_AT = 64  # images of an array whose values are looked at


class FitsAnyData:
    """The part of a `SupervisedModel` that stands between its data and Keras.

    It gives `data.train()` and `data.test()` to Keras as datasets, starts training batches at the epoch where training
    goes on, and refuses what is plainly a mistake (images on another scale, labels that are no numbers) before an epoch
    is spent on it.
    """

    _steps_per_epoch: int | None = None
    _watch: Watch | None = None

    def fit(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> keras.callbacks.History:
        """As `keras.Model.fit`.

        Args:
            x: What `data.train(...)` returns, which knows its length and its epochs; or images, a `tf.data.Dataset`, a
                `PyDataset`, ... as Keras takes them, to which the model itself applies its pretext tasks.
            y: Class labels with arrays: integers or one-hot rows.
            args, kwargs: As for Keras.
        """
        names = ("batch_size", "epochs", "verbose", "callbacks", "validation_split", "validation_data", "shuffle")
        kwargs |= dict(zip(names, args, strict=False))
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._validation(kwargs["validation_data"])
        if kwargs.get("class_weight"):
            weights_by_class(kwargs["class_weight"], self.num_classes)
        if isinstance(x, TrainingSet):
            x = self._batches(x, kwargs)
        else:
            self._augment_with(None)
            self._steps_per_epoch = None
            check_labels(y, self.num_classes)
            x = self._watched(x, kwargs)
        self._create_state(x, y)
        try:
            return super().fit(x, y, **kwargs)  # type: ignore[misc]
        except tf.errors.OpError:
            if self._watch is not None:
                self._watch.complain()  # of what made TensorFlow fail deep inside
            raise
        finally:
            self._watch = None
            self._initial_epoch = None  # BackupAndRestore sets it, and Keras would begin the next fit there as well

    def evaluate(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`; `x` may be what `data.test()` or `data.train(...)` returns."""
        check_labels(y, self.num_classes)
        return super().evaluate(self._looked_at(self._dataset(x)), y, *args, **kwargs)  # type: ignore[misc]

    def predict(self: Any, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """As `keras.Model.predict`: cosines or logits, by `heads`; `classifier().predict` gives logits."""
        return super().predict(self._looked_at(self._dataset(x)), *args, **kwargs)  # type: ignore[misc]

    def _batches(self: Any, training_set: TrainingSet, options: dict[str, Any]) -> tf.data.Dataset:
        """Training batches as an endless dataset that starts where training goes on."""
        steps = options.setdefault("steps_per_epoch", training_set.steps_per_epoch)
        if steps % self.steps_per_execution:
            raise ValueError(
                f"compile(steps_per_execution={self.steps_per_execution}) must divide the {steps} steps of an "
                f"epoch, so that an execution ends where the epoch ends; use 1 or {steps}."
            )
        check_shares(training_set.batch_size, training_set.num_images, self._replicas)
        self._steps_per_epoch = steps
        training_set = self._normalised_for_it(training_set)
        on_device = self._augments_on_device()
        self._augment_with(training_set.augment if on_device else None)
        options.setdefault("shuffle", False)  # the set shuffles itself; Keras would warn that it cannot
        given = options.get("initial_epoch", 0)

        before = _StepsBefore()
        options["callbacks"] = [*_as_list(options.get("callbacks")), before]
        # TensorFlow keeps what a dataset asks of Python as long as the process lives: it is not to keep the model.
        this: Any = weakref.ref(self)
        taken: Any = weakref.ref(before)

        def start() -> int:
            # Asked when the first batch is, so after callbacks that bring an interrupted training back. Rounded, as
            # steps that overflow in float16 do not count.
            if training_set.first_step:
                return given
            return this()._initial_epoch or max(given, round(taken().steps / steps))

        return training_set.from_epoch(start, not on_device, options.pop("class_weight", None))

    def _create_state(self: Any, x: Any, y: Any) -> None:
        """Create the variables of optimizer and metrics, for which TensorFlow would else trace the first step twice."""
        if not self.compiled or self._distribute_strategy is not None:  # Keras says so; Keras does it
            return
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        labels = _one_label(x, y)
        if labels is not None:
            keras.Model.compute_metrics(self, None, labels, tf.zeros((1, self.num_classes)))
            self.reset_metrics()

    def steps_done(self: Any) -> int:
        """Training steps that have been taken, as the optimizer counts them."""
        return int(keras.ops.convert_to_numpy(step_counter(self.optimizer)))

    def _normalised_for_it(self: Any, training_set: TrainingSet) -> TrainingSet:
        if self.preprocessing is not None:
            return training_set.normalised_as(self.preprocessing)
        if self._scales_by_itself():
            raise ValueError(SCALES_TWICE.format(self.backbone.name))
        return training_set

    def _augments_on_device(self: Any) -> bool:
        """Whether the training step augments: where a GPU would else wait for the CPU, and for floats to be copied.

        Not with several devices: each draws for its share of a batch, and the shares' draws would be the same.
        """
        return bool(tf.config.list_logical_devices("GPU")) and self._replicas == 1

    def _augment_with(self: Any, augment: Callable[[Any, Any], tuple[Any, Any]] | None) -> None:
        if augment != self._augment:
            self._augment = augment
            self.train_function = None  # it is traced with the augmentation in it

    def _validation(self: Any, data: Any) -> Any:
        if not isinstance(data, (tuple, list)):
            return self._looked_at(self._dataset(data))
        check_labels(data[1], self.num_classes)
        return (self._looked_at(data[0]), *data[1:])

    def _dataset(self: Any, data: Any) -> Any:
        if isinstance(data, EvaluationSet):
            if self.preprocessing is not None:
                return data.pixels(self.preprocessing.scale)
            if self._scales_by_itself():
                raise ValueError(SCALES_TWICE.format(self.backbone.name))
        return self._normalised_for_it(data) if isinstance(data, TrainingSet) else data

    def _scales_by_itself(self: Any) -> bool:
        """Whether the backbone scales its input, so that it may want images of any kind."""
        scaling = (keras.layers.Rescaling, keras.layers.Normalization)
        return any(isinstance(layer, scaling) for layer in self.backbone._flatten_layers())

    def _looked_at(self: Any, data: Any) -> Any:
        """The data as Keras takes it, after a look at the images' values where that costs nothing."""
        if isinstance(data, TrainingSet):
            return data.one_epoch()
        if isinstance(data, (np.ndarray, tf.Tensor)) and len(data):
            self._check_values(np.asarray(data[:LOOKED_AT]))
        return data

    def _check_values(self: Any, images: np.ndarray, labels: Any = None) -> None:
        """Raise `ValueError` where images are plainly on another scale than the model expects."""
        smallest, largest = float(np.min(images)), float(np.max(images))
        complaint = None
        if isinstance(labels, Mapping):  # altered already, so normalised before that
            complaint = complaint_of_pixels(smallest, largest)
        elif self.preprocessing is not None:
            complaint = self.preprocessing.complaint(smallest, largest, images.dtype.kind in "ui")
        elif self._looks_at_values and not self._scales_by_itself():
            complaint = complaint_of_pixels(smallest, largest)
        if complaint is not None:
            raise ValueError(complaint)

    def _watched(self: Any, data: Any, options: dict[str, Any]) -> Any:
        """Training data whose first images are looked at, whatever kind of data it is."""
        if isinstance(data, tf.data.Dataset):
            options.setdefault("shuffle", False)  # Keras would warn that it cannot shuffle a dataset
            return self._watched_dataset(data, options)
        if isinstance(data, keras.utils.PyDataset):
            images, *labels = data[0]
            self._check_values(np.asarray(images), labels[0] if labels else None)
        elif hasattr(data, "__next__"):
            options.setdefault("shuffle", False)
            first = next(data)
            self._check_values(np.asarray(first[0]), first[1])
            return (batch for batch in itertools.chain([first], data))
        return self._looked_at(data)

    def _watched_dataset(self: Any, dataset: tf.data.Dataset, options: dict[str, Any]) -> tf.data.Dataset:
        spec = dataset.element_spec
        if not isinstance(spec, tuple) or len(spec) < 2:
            raise ValueError(
                f"fit needs a dataset of (images, labels), perhaps with weights; received batches of {spec}."
            )
        labels = spec[1].values() if isinstance(spec[1], Mapping) else [spec[1]]
        if any(getattr(label, "dtype", None) == tf.string for label in labels):
            raise ValueError(NO_NUMBERS.format("strings"))
        if isinstance(spec[1], Mapping) and options.get("class_weight") is not None:
            # Keras would refuse it: it takes labels by name for those of several outputs.
            weights = tf.constant(weights_by_class(options.pop("class_weight"), self.num_classes))
            dataset = dataset.map(as_written(lambda *batch: _weighted(batch, weights, self.num_classes)))
        self._watch = Watch(self._check_values, spec[1], self.num_classes)
        options["callbacks"] = [*_as_list(options.get("callbacks")), self._watch]
        return self._watch.dataset(dataset)


class _StepsBefore(keras.callbacks.Callback):
    """Knows how many steps were taken before this training; within its first step the count may have risen already."""

    steps = 0

    def on_train_begin(self, logs: Any = None) -> None:
        self._asked = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._asked:
            self.steps, self._asked = self.model.steps_done(), True


SCALES_TWICE = (
    "The backbone {!r} scales pixels by itself, and this data is normalised already: train on arrays or a dataset of "
    "pixels, or take the backbone from keras_gssl.backbones.make_backbone, which says how it wants its images."
)


def step_counter(optimizer: keras.optimizers.Optimizer) -> Any:
    """The variable that counts training steps, also of an optimizer that scales losses or accumulates gradients."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "_iterations", inner.iterations)  # `iterations` counts updates, which may be fewer


def _one_label(x: Any, y: Any) -> Any:
    """Zeros of the kind of class labels that come with `x`; None where only their batches will tell."""
    if isinstance(x, tf.data.Dataset):
        spec = x.element_spec[1]
        spec = spec.get(CLASS_KEY) if isinstance(spec, Mapping) else spec
        if not isinstance(spec, tf.TensorSpec) or not spec.shape.rank or None in spec.shape[1:]:
            return None
        return tf.zeros((1, *spec.shape[1:]), spec.dtype)
    return None if y is None or isinstance(y, Mapping) else np.zeros_like(np.asarray(y[:1]))


def _weighted(batch: tuple[Any, ...], weights: tf.Tensor, num_classes: int) -> tuple[Any, ...]:
    images, labels, *given = batch
    of_class = tf.gather(weights, class_indices(labels[CLASS_KEY], num_classes))
    return images, labels, of_class * tf.cast(given[0], tf.float32) if given else of_class


def _as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]
