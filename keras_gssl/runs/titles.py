"""What methods are called on pages and in tables."""

from __future__ import annotations

from keras_gssl.runs.settings import LOSSES

#: Training with a class loss alone.
PLAIN = {
    "ce": "cross-entropy",
    "class-balanced": "class-balanced cross-entropy",
    "balanced": "logit-adjusted cross-entropy",
    "ldam-drw": "LDAM-DRW",
}
#: What methods do beside the class loss that the settings name.
BESIDE = {
    "augment-only": "augmentation alone",
    "moe": "gated tasks",
    "sum": "tasks without a gate",
    "lorot-e": "rotated quadrants (LoRot-E)",
    "ssp": "pretraining on rotations (SSP)",
    "sla-sd": "labels of rotations (SLA-SD)",
}


def title(method: str, loss: str) -> str:
    """What a method is called, with the class loss that it has under these settings.

    >>> from keras_gssl.runs.titles import title
    >>> title("moe", "ldam")
    'LDAM-DRW + gated tasks'
    """
    if method in BESIDE:
        return f"{PLAIN[LOSSES[loss]]} + {BESIDE[method]}"
    return PLAIN.get(method, method)
