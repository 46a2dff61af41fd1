"""`GatedSSLModel`: a classifier with one extra head per pretext task and a gate that weighs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keras_gssl.backend import keras, ops, tf
from keras_gssl.bounds import NOT_NEGATIVE, SEED
from keras_gssl.choices import TASK_HEADS
from keras_gssl.data.pipeline import CLASS_KEY
from keras_gssl.devices import mean_share
from keras_gssl.losses import class_indices
from keras_gssl.models.balance import GradientBalance
from keras_gssl.models.drawing import DrawsTasks
from keras_gssl.models.look_ahead import LooksAhead
from keras_gssl.models.supervised import StepLosses, SupervisedModel
from keras_gssl.models.task_heads import CutBackbone, Judged, judge, pooled, task_head
from keras_gssl.pretext.catalogue import make_gate
from keras_gssl.pretext.draw import TaskDraw
from keras_gssl.pretext.gates import Evidence, Gate
from keras_gssl.pretext.steering import Steering, make_steering
from keras_gssl.pretext.tasks import PretextTask, check_tasks
from keras_gssl.pretext.trial import try_tasks


@keras.saving.register_keras_serializable(package="keras_gssl")
class GatedSSLModel(DrawsTasks, LooksAhead, SupervisedModel):
    """Supervised classification helped by gated localizable pretext tasks.

    In training, every image carries one altered quadrant (see `PretextTask`); its features go to the classification
    head and to one small head per task. The loss is
    `class_loss + ssl_ratio * mean_i sum_n gate_n(x_i) * cross_entropy_n(x_i)`. The class loss is the one given to
    `compile`; pretext losses are plain cross-entropy. In evaluation and prediction only backbone and classification
    head take part, and `classifier()` returns just these.

    Args:
        backbone: Any `keras.Model` from images to a feature vector per image, such as `backbones.resnet32()`.
        num_classes: Number of classes.
        tasks: Pretext tasks. None means plain supervised training.
        ssl_ratio: Weight lambda of the pretext losses. 0 keeps the transforms as augmentation alone. `"auto"` keeps the
            pretext gradient at the features at `gradient_ratio` times that of the class loss.
        gating: `"frozen"` (the authors' code), `"learned"` (eq. 1 and 2 as printed), `"rewarded"` (ours: prefers tasks
            whose labels can be learned and whose gradients do not oppose the class loss), `"look-ahead"` (ours: prefers
            tasks that lower the class loss, and none where none does), `"none"` (plain sum), or a `Gate` object, such
            as `RewardedGate(temperature=0.2)` or your own. With fewer than two tasks there is no gate.
        heads: `"cosine"` for `LDAMLoss`: class head, and task heads unless `task_heads` says otherwise, give cosines
            without scale. `"dense"` for cross-entropy: ordinary dense layers with bias, giving logits.
        seed: Of what is drawn in the training step: which quadrant, and what is done to it.
        task_heads: `"class"`: heads of the tasks are of the kind of the class head (the paper). `"dense"` or
            `"scaled-cosine"` (cosines times a learned scale) can be learned beside `LDAMLoss` too.
        task_map: Let the heads of the tasks look at a feature map of a functional backbone, averaged over each of its
            four quadrants: the name of a layer, or `"last"`. None: at the features.
        joint_labels: Heads of the tasks tell class and alteration together.
        draw: How tasks and quadrants are drawn in the training step; data that is altered already has its own.
        steering: Let each class have the alterations that it can bear: `"look-ahead"`, `"levels"`, or a `Steering`
            object. The draw is then made in the training step.
        gradient_ratio: See `ssl_ratio`.
        logit_scale, preprocessing, input_shape, average, distillation: See `SupervisedModel`.

    Input shape: images `(batch, height, width, channels)`, square with an even side where there are tasks. Labels are
    integers `(batch,)` or one-hot rows `(batch, num_classes)`, and the training step draws the tasks; or what
    `data.train(tasks=...)` gives, a dictionary with `"class"` and one entry per task. Output shape: `(batch,
    num_classes)`.

    History: `loss` (total), `class_loss`, and for each task `<task>_loss` and `<task>_accuracy` (over the images that
    it was applied to), `gate_<task>`, and `ratio_<task>`, the length of its weighed gradient at the features over that
    of the class loss; with the rewarded gate also `alignment_<task>`, the mean cosine between the task's and the class
    loss's gradient; with the look-ahead gate `reward_<task>`; with `ssl_ratio="auto"` also `ssl_ratio`.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> tasks = [gssl.LoRotE(), gssl.Flip()]
    >>> model = gssl.GatedSSLModel(gssl.backbones.resnet_cifar(8), num_classes=10, tasks=tasks)
    >>> model.compile(optimizer=gssl.SGD(0.1), loss=gssl.LDAMLoss(data.class_counts), metrics=["accuracy"])
    >>> history = model.fit(data.train(batch_size=64, tasks=tasks, seed=0), epochs=1, verbose=0)
    >>> sorted(history.history)[:4]
    ['accuracy', 'class_loss', 'flip_accuracy', 'flip_loss']

    Reference:
        "Gated Self-Supervised Learning for Improving Supervised Learning" (arXiv 2301.05865), eq. 1 and 2.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        tasks: Sequence[PretextTask] = (),
        ssl_ratio: float | str = 0.1,
        gating: str | Gate = "frozen",
        heads: str = "cosine",
        seed: int = 0,
        task_heads: str = "class",
        task_map: str | None = None,
        joint_labels: bool = False,
        draw: TaskDraw | None = None,
        steering: str | Steering | None = None,
        gradient_ratio: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(backbone, num_classes, heads, **kwargs)
        if ssl_ratio != "auto":
            NOT_NEGATIVE.check("ssl_ratio, where it is not 'auto',", ssl_ratio)
        NOT_NEGATIVE.check("gradient_ratio", gradient_ratio)
        SEED.check("seed", seed)
        if task_heads not in TASK_HEADS:
            raise ValueError(f"task_heads must be one of {', '.join(map(repr, TASK_HEADS))}; received {task_heads!r}.")
        self.tasks = check_tasks(tasks)
        try_tasks(self.tasks, self._image_shape)
        self.ssl_ratio = ssl_ratio
        self.gradient_ratio = gradient_ratio
        self.gating = gating if isinstance(gating, str) else None
        self.seed = seed
        self.task_heads, self.task_map, self.joint_labels = task_heads, task_map, joint_labels
        self.steering = make_steering(steering, num_classes, len(self.tasks))
        self.draw = draw or TaskDraw(self.steering.placement if self.steering else "together")
        if self.steering is not None and self.draw.placement != self.steering.placement:
            raise ValueError(f"This steering needs TaskDraw({self.steering.placement!r}), received {self.draw!r}.")
        cut = CutBackbone(backbone, task_map) if task_map else None
        self._cut = lambda: cut  # so that Keras does not save the backbone a second time
        kind, shape = (
            (heads if task_heads == "class" else task_heads),
            cut.pooled_shape if cut else self._features_shape,
        )
        parts = num_classes if joint_labels else 1
        self.pretext_heads = [
            task_head(kind, parts * task.num_labels, shape, f"{task.name}_head") for task in self.tasks
        ]
        self.gate = make_gate(gating, len(self.tasks))
        if not self.gate.built:
            self.gate.build(self._features_shape)
        self.task_losses, self.task_accuracies, self.gate_means = (
            [keras.metrics.Mean(name=pattern.format(task.name)) for task in self.tasks]
            for pattern in ("{}_loss", "{}_accuracy", "gate_{}")
        )
        self.alignments = [
            keras.metrics.Mean(name=f"{report}_{task.name}") for report in self.gate.reports for task in self.tasks
        ]
        self.balance = GradientBalance([task.name for task in self.tasks], ssl_ratio, gradient_ratio)
        self.draws_here = bool(self.tasks) and (self.steering is not None or self.gate.looks_ahead)
        self.look_ahead = self.make_look_ahead()
        self.build(self._image_shape)

    def step_losses(self, images: Any, labels: dict[str, Any], sample_weight: Any) -> StepLosses:
        if not self.tasks:
            return super().step_losses(images, labels, sample_weight)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            point, features, seen = self.seen(images, training=True, watch=tape.watch)
            outputs = self.class_head(features)
            class_loss = self.weighted_class_loss(images, labels, outputs, sample_weight)
            judged = self.judged(seen, labels)
            losses = [judged.losses[:, index] for index in range(len(self.tasks))]
        class_gradient, *task_gradients = (_gradient(tape, loss, point) for loss in (class_loss, *losses))
        num_labels = [task.num_labels for task in self.tasks]
        evidence = Evidence(features, judged.losses, num_labels, class_gradient, task_gradients, judged.applied)
        gate = self.gate(features)
        gate_loss, reported = self.gate.learn(evidence)
        weight = self.balance.weight(class_gradient, task_gradients, gate)
        self._track(judged, gate, reported)
        pretext_loss = mean_share(ops.sum(gate * judged.losses, axis=1))
        return StepLosses(outputs, class_loss, weight * pretext_loss, gate_loss)

    def seen(self, images: Any, training: bool, watch: Any = lambda point: None) -> tuple[Any, Any, Any]:
        """Where class and task heads part, the features, and what the heads of the tasks look at.

        `watch` is called with the first as soon as it is there.
        """
        cut = self._cut()
        if cut is None:
            features = self.features(images, training)
            watch(features)
            return features, features, features
        training = training and not self.heads_only
        feature_map = cut.map_of(images, training)
        watch(feature_map)
        return feature_map, cut.features_of(feature_map, training), pooled(feature_map)

    def judged(self, seen: Any, labels: Mapping[str, Any]) -> Judged:
        """What the heads of the tasks make of what they see."""
        outputs = [head(seen) for head in self.pretext_heads]
        if not self.joint_labels:
            return judge(self.tasks, outputs, labels)
        classes = class_indices(labels[CLASS_KEY], self.num_classes)
        return judge(self.tasks, outputs, labels, classes, getattr(self.loss, "class_counts", None))

    def _track(self, judged: Judged, gate: Any, reported: Mapping[str, Any]) -> None:
        for index in range(len(self.tasks)):
            applied = judged.applied[:, index]
            self.task_losses[index].update_state(judged.losses[:, index], sample_weight=applied)
            self.task_accuracies[index].update_state(judged.hits[:, index], sample_weight=applied)
            self.gate_means[index].update_state(gate[:, index])
        names = [name for name in self.gate.reports if name in reported]
        columns = (reported[name][:, index] for name in names for index in range(len(self.tasks)))
        for tracker, column in zip(self.alignments if names else (), columns, strict=True):
            tracker.update_state(column)

    def step_variables(self) -> list[Any]:
        # The frozen gate has no gradient, so its weights must not be decayed either.
        frozen = () if self.gate.trained else {id(variable) for variable in self.gate.variables}
        return [variable for variable in super().step_variables() if id(variable) not in frozen]

    def training_metrics(self) -> list[keras.metrics.Metric]:
        of_tasks = [*self.task_losses, *self.task_accuracies, *self.gate_means, *self.alignments]
        return [*super().training_metrics(), *of_tasks, *self.balance.metrics]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        balance = getattr(self, "balance", None)
        return [*super().metrics, *(balance.metrics if balance is not None and self.compiled else ())]

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "tasks": [serialize(task) for task in self.tasks],
            "ssl_ratio": self.ssl_ratio,
            "gating": self.gating or serialize(self.gate),
            "seed": self.seed,
            "task_heads": self.task_heads,
            "task_map": self.task_map,
            "joint_labels": self.joint_labels,
            "draw": serialize(self.draw),
            "steering": self.steering and serialize(self.steering),
            "gradient_ratio": self.gradient_ratio,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SupervisedModel:
        def made(value: Any) -> Any:
            return keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)

        parts = {name: made(config[name]) for name in ("draw", "steering") if config.get(name) is not None}
        gating = config.get("gating", "frozen")
        parts["gating"] = gating if isinstance(gating, str) else made(gating)
        return super().from_config({**config, **parts, "tasks": [made(t) for t in config["tasks"]]}, custom_objects)


def _gradient(tape: tf.GradientTape, loss: Any, point: Any) -> Any:
    """Gradient at a point as float32, a row per image."""
    gradient = ops.cast(tape.gradient(loss, point), "float32")
    return ops.reshape(gradient, (ops.shape(gradient)[0], -1))
