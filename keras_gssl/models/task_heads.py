"""Heads of the pretext tasks: what they look at, what they tell, and how their losses are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_gssl.backend import keras, ops
from keras_gssl.layers import CosineHead, ScaledCosineHead, dense_head
from keras_gssl.pretext.draw import NOT_APPLIED
from keras_gssl.pretext.tasks import PretextTask


def task_head(kind: str, units: int, features_shape: tuple[Any, ...], name: str) -> keras.layers.Layer:
    """A built head: `"dense"`, `"cosine"` (without scale) or `"scaled-cosine"`."""
    head: keras.layers.Layer
    if kind == "dense":
        head = dense_head(units, features_shape[-1], name)
    else:
        head = (CosineHead if kind == "cosine" else ScaledCosineHead)(units, dtype="float32", name=name)
    head.build(features_shape)
    return head


class CutBackbone:
    """A functional backbone cut in two at a feature map, which heads may look at.

    Args:
        backbone: Functional.
        layer: Name of the layer that gives the map, or `"last"` for the last map before pooling.
    """

    def __init__(self, backbone: keras.Model, layer: str):
        if not isinstance(backbone, keras.Function):
            raise ValueError(f"task_map needs a functional backbone, received {backbone!r}: leave task_map out.")
        maps = {each.name: each.output for each in backbone.layers if len(getattr(each.output, "shape", ())) == 4}
        if layer != "last" and layer not in maps:
            raise ValueError(
                f"task_map must be 'last' or a layer of the backbone that gives a map, such as "
                f"{', '.join(list(maps)[-3:])}; received {layer!r}."
            )
        cut = list(maps.values())[-1] if layer == "last" else maps[layer]
        self._lower = keras.Model(backbone.inputs, cut)
        try:
            self._upper = keras.Model(cut, backbone.outputs[0])
        except ValueError as error:
            raise ValueError(
                f"The backbone cannot be cut at {layer!r}, as other paths lead past it: name the end of a stage."
            ) from error
        self.pooled_shape = (None, 4 * cut.shape[-1])

    def map_of(self, images: Any, training: bool) -> Any:
        return self._lower(images, training=training)

    def features_of(self, feature_map: Any, training: bool) -> Any:
        return ops.cast(self._upper(feature_map, training=training), "float32")


def pooled(feature_map: Any) -> Any:
    """The mean over each quadrant of a map, so that the place is not lost; shape `(batch, 4 * channels)`."""
    feature_map = ops.cast(feature_map, "float32")
    rows, columns = (length // 2 for length in feature_map.shape[1:3])
    parts = (
        feature_map[:, down, across]
        for down in (slice(None, rows), slice(rows, None))
        for across in (slice(None, columns), slice(columns, None))
    )
    return ops.concatenate([ops.mean(part, axis=(1, 2)) for part in parts], axis=-1)


class Judged(NamedTuple):
    """What the heads of all tasks achieve on a batch; each of shape `(batch, tasks)`, float32.

    Attributes:
        losses: Cross-entropies, 0 where a task was not applied.
        applied: 1 where a task was applied, else 0.
        hits: 1 where the alteration is told rightly.
    """

    losses: Any
    applied: Any
    hits: Any


def judge(
    tasks: Sequence[PretextTask],
    outputs: Sequence[Any],
    labels: Mapping[str, Any],
    classes: Any = None,
    class_counts: Sequence[int] | None = None,
) -> Judged:
    """Losses and hits of the tasks' heads.

    Args:
        tasks: Tasks.
        outputs: Logits of each task's head, shape `(batch, num_labels)`; with `classes` those of the joint labels
            `num_labels * class + label`.
        labels: By the tasks' names; `NOT_APPLIED` where there is no loss.
        classes: Class indices, for joint labels.
        class_counts: With joint labels, the log of each class's frequency is added to its logits in training, so that
            what is learned does not depend on how frequent a class is.

    Reference:
        Joint labels: "Self-supervised Label Augmentation via Input Transformations" (ICML 2020), section 3.1.
    """
    losses, applied, hits = [], [], []
    for task, output in zip(tasks, outputs, strict=True):
        label = ops.cast(labels[task.name], "int32")
        here = ops.cast(ops.not_equal(label, NOT_APPLIED), "float32")
        known = ops.maximum(label, 0)
        wanted, told = known, output
        if classes is not None:
            num_classes = output.shape[-1] // task.num_labels
            by_class = ops.reshape(output, (-1, num_classes, task.num_labels))
            told = ops.logsumexp(by_class, axis=1)
            wanted = task.num_labels * classes + known
            output = output + np.repeat(_log_prior(class_counts, num_classes), task.num_labels)
        losses.append(here * ops.sparse_categorical_crossentropy(wanted, output, from_logits=True))
        hits.append(here * ops.cast(ops.equal(ops.argmax(told, axis=-1), known), "float32"))
        applied.append(here)
    return Judged(*(ops.stack(each, axis=1) for each in (losses, applied, hits)))


def _log_prior(class_counts: Sequence[int] | None, num_classes: int) -> np.ndarray:
    if class_counts is None:
        return np.zeros(num_classes, "float32")
    counts = np.asarray(class_counts, "float32")
    return np.log(counts / counts.sum())
