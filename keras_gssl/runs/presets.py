"""Named recipes: settings that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What each recipe sets beside the defaults; `epochs` as a share of the full length of the experiment.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The paper's settings, which are the defaults. Measured: CIFAR-10-LT 0.01, 200 epochs, n = 1, all three tasks, last
    # epoch 81.53 %, 83 minutes on two cores of an Intel Xeon with AMX, bfloat16, with other work beside it.
    "paper": {},
    # A quarter of the paper's epochs. Measured: CIFAR-10-LT 0.01, n = 1, last epoch 81.25 % (best 81.39), 126 minutes
    # on two cores of an AMD EPYC with AVX2, float32, with other work beside it.
    "fast": {
        "epochs": 0.25,
        "schedule": "linear",
        "nesterov": True,
        "weight_decay": 5e-4,
        "batch_size": 64,
        "warmup_epochs": 2,
        "average": 0.998,
        "loss": "balanced",
        "mixing": "cutmix",
        "plain_epochs": 3,
        "draw": "one",
        "share": 0.5,
        "task_heads": "dense",
        "ssl_ratio": 0.5,
        "gating": "look-ahead",
    },
    # The paper's length, everything that is said to help. Not measured yet.
    "best": {
        "epochs": 1.0,
        "schedule": "cosine",
        "nesterov": True,
        "weight_decay": 5e-4,
        "batch_size": 64,
        "average": 0.999,
        "loss": "balanced",
        "augmentations": ("autoaugment", "cutout"),
        "mixing": "cutmix",
        "plain_epochs": 10,
        "retrain_epochs": 10,
        "draw": "one",
        "share": 0.5,
        "task_heads": "dense",
        "ssl_ratio": 0.5,
        "gating": "look-ahead",
    },
}


def preset_values(name: str, full_epochs: int, epochs_is_given: bool = False) -> dict[str, Any]:
    """Settings of a recipe.

    Args:
        name: A key of `PRESETS`.
        full_epochs: Length of the experiment at the paper's settings.
        epochs_is_given: Leave the length out.
    """
    if name not in PRESETS:
        raise ValueError(f"recipe must be one of {', '.join(PRESETS)}; received {name!r}")
    values = dict(PRESETS[name])
    share = values.pop("epochs", None)
    if share is None or epochs_is_given:
        return {**values, "recipe": name}
    return {**values, "recipe": name, "epochs": round(share * full_epochs)}
