"""The class loss of a training step: each image weighed by its class, and the loss checked against the heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_gssl.backend import ops
from keras_gssl.data.mixing import MIXED_CLASS, OWN_SHARE
from keras_gssl.data.pipeline import CLASS_KEY
from keras_gssl.devices import num_replicas, sum_over_replicas
from keras_gssl.losses import class_indices, heads_for


class WeighsClasses:
    """The part of a `SupervisedModel` that computes the compiled loss with deferred re-weighting."""

    def weighted_class_loss(self: Any, images: Any, labels: Mapping[str, Any], outputs: Any, sample_weight: Any) -> Any:
        """The compiled loss, each image weighed by its class weight (see `DeferredReweighting`).

        Images that are mixed of two count for either class by its share.
        """
        classes = labels[CLASS_KEY]
        if OWN_SHARE in labels:
            own = ops.cast(labels[OWN_SHARE], "float32")
            # Twice the share, as every image stands there twice.
            shares = 2 * ops.concatenate([own, 1 - own], axis=0)
            if sample_weight is not None:
                given = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
                shares = shares * ops.concatenate([given, given], axis=0)
            sample_weight = shares
            outputs = ops.concatenate([outputs, outputs], axis=0)
            classes = ops.concatenate([classes, ops.cast(labels[MIXED_CLASS], classes.dtype)], axis=0)
        weights, share = self.image_weights(classes, sample_weight)
        return share * self.compute_loss(images, classes, outputs, weights, training=True)

    def image_weights(self: Any, classes: Any, sample_weight: Any) -> tuple[Any, Any]:
        """Weight of each image, and what a loss weighed with them on this device is to be multiplied by.

        The class weights have mean 1 on this device, so that a loss that divides by the batch size gives the weighted
        mean over them as well; `sample_weight` counts as it does in Keras. The factor makes the mean over the devices
        that over the global batch.
        """
        balance = ops.take(self.class_weights, class_indices(classes, self.num_classes))
        weights = total = balance
        if sample_weight is not None:
            weights = balance * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
            by_weight = getattr(self.loss, "reduction", None) == "mean_with_sample_weight"
            total = weights if by_weight else balance
        total = ops.sum(total)
        share = ops.divide_no_nan(num_replicas() * total, sum_over_replicas(total))
        return weights / ops.mean(balance), share

    def check_loss(self: Any) -> None:
        """Raise `ValueError` where the compiled loss does not go with the heads."""
        loss, wanted = self.loss, heads_for(self.loss)
        name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")  # a function's takes probabilities too
        if "crossentropy" in name or getattr(loss, "from_logits", True) is False:
            raise ValueError(
                "The heads give logits, not probabilities: compile with "
                "loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)."
            )
        if wanted != self.heads:
            raise ValueError(
                f"heads={self.heads!r} do not go with {type(loss).__name__}: "
                + (
                    "it needs cosines between -1 and 1; make the model with heads='cosine'."
                    if wanted == "cosine"
                    else "it needs logits; make the model with heads='dense', or use LDAMLoss (a loss of your own that "
                    "scales cosines has the attributes heads = 'cosine' and scale)."
                )
            )
        scale = getattr(loss, "scale", self.logit_scale) if wanted == "cosine" else self.logit_scale
        if scale != self.logit_scale:
            raise ValueError(
                f"The loss scales cosines by {scale:g}, the model says {self.logit_scale:g}: make the model with "
                f"logit_scale={scale:g}."
            )
