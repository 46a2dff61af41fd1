"""Training parts of a model: heads alone, and a pretrained backbone with smaller steps."""

from __future__ import annotations

from typing import Any

from keras_gssl.optimizers.by_part import StepsByPart
from keras_gssl.randomness import seeded


class TrainsInParts:
    """The part of a `SupervisedModel` that knows which weights a step moves, and how far."""

    def freeze_backbone(self: Any, begin: bool = True, fresh_head: bool = True) -> None:
        """From now on only the heads are trained.

        Args:
            begin: Go on from the average of the weights, if there is one; False where this stage was begun before.
            fresh_head: With `begin`, start the class head anew.
        """
        if begin and self.average is not None:
            self.average.give_to(self.backbone, self.class_head)
        if begin and fresh_head:
            with seeded(getattr(self, "seed", 0)):  # the same one where this stage is begun again
                self.class_head.set_weights(self._make_head(self.num_classes, "fresh").get_weights())
        if begin and self.average is not None:
            self.average.restart(self.backbone, self.class_head)
        self._train(heads_only=True)

    def unfreeze_backbone(self: Any) -> None:
        """From now on everything is trained."""
        self._train(heads_only=False)

    def _train(self: Any, heads_only: bool) -> None:
        self.heads_only = heads_only
        self.make_train_function(force=True)  # the one that is in use trains the other

    def step_variables(self: Any) -> list[Any]:
        """The variables that the training step moves (and decays)."""
        fixed = {id(variable) for variable in self.backbone.trainable_variables} if self.heads_only else ()
        return [variable for variable in self.trainable_variables if id(variable) not in fixed]

    def slow_down_backbone(self: Any) -> None:
        """Tell the optimizer of the backbone's smaller steps."""
        factor = self.backbone_learning_rate_factor
        if factor == 1:
            return
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of a LossScaleOptimizer
        if not isinstance(optimizer, StepsByPart):
            raise ValueError(
                f"backbone_learning_rate_factor needs an optimizer that can do it, keras_gssl.SGD, AdamW or Muon; "
                f"compiled with {type(optimizer).__name__}."
            )
        optimizer.slow_down(self.backbone.trainable_variables, factor)
