"""Named recipes: settings that belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What each recipe sets beside the defaults; `epochs` as a share of the full length of the experiment.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The paper's settings, which are the defaults. Measured: CIFAR-10-LT 0.01, 200 epochs, n = 1, all three tasks, last
    # epoch 81.53 %, 83 minutes on two cores of an Intel Xeon with AMX, bfloat16, with other work beside it.
    "paper": {},
    # A quarter of the paper's epochs. Measured: CIFAR-10-LT 0.01, n = 3, as `USUAL` says, last epoch 82.46 (0.31) %,
    # 57 and 70 minutes on one core of an AMD EPYC, bfloat16, the first on two of an Intel Xeon, float32, other work
    # beside; CIFAR-100-LT 0.01, n = 3: 49.34 (0.30), 55 and 56 minutes so. With tasks and gate in place of RandAugment,
    # n = 2: 81.33 (0.74) and 49.20 (0.04); with SGD in place of Muon besides 81.25 and 80.42 %, and n = 1: 44.97 %.
    "fast": {
        "epochs": 0.25,
        "optimizer": "muon",
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
    # The paper's length, much that is said to help. Measured: CIFAR-100-LT 0.01, n = 1, all three tasks, 52.45 % after
    # 190 of 200 epochs; then ten of a new class head alone, which the recipe has no more, took it to 51.19. Without
    # tasks, 190 epochs, n = 1: 52.36 %, and 83.33 % on CIFAR-10-LT 0.01. Most of it on an H200, the rest on two cores.
    "best": {
        "epochs": 1.0,
        "optimizer": "muon",
        "schedule": "cosine",
        "nesterov": True,
        "weight_decay": 5e-4,
        "batch_size": 64,
        "warmup_epochs": 5,
        "average": 0.999,
        "loss": "balanced",
        "augmentations": ("autoaugment", "cutout"),
        "mixing": "cutmix",
        "plain_epochs": 10,
        "draw": "one",
        "share": 0.5,
        "task_heads": "dense",
        "ssl_ratio": 0.5,
        "gating": "look-ahead",
    },
}

#: What a recipe trains where neither a method nor anything about pretext tasks is asked for, and what goes with that
#: method: other losses lost accuracy by RandAugment on photographs. Without an entry it has tasks and gate.
USUAL: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "fast": ("balanced", {"augmentations": ("randaugment",)}),
}

#: Epochs at the beginning and at the end of a run that a recipe sets.
STAGES = ("warmup_epochs", "plain_epochs", "retrain_epochs")


def preset_values(name: str, full_epochs: int, epochs: int | None = None) -> dict[str, Any]:
    """Settings of a recipe.

    Args:
        name: A key of `PRESETS`.
        full_epochs: Length of the experiment at the paper's settings.
        epochs: Length in place of the recipe's. Where its stages leave nothing of it, they are shortened to half.
    """
    if name not in PRESETS:
        raise ValueError(f"recipe must be one of {', '.join(PRESETS)}; received {name!r}")
    values = {**PRESETS[name], "recipe": name}
    if "epochs" not in values:
        return values
    values["epochs"] = round(values["epochs"] * full_epochs) if epochs is None else epochs
    stages = {stage: values.get(stage, 0) for stage in STAGES}
    warm_up, plain, retrained = stages.values()
    if epochs is not None and max(warm_up, plain) + retrained >= epochs:
        values |= {stage: length * (epochs // 2) // sum(stages.values()) for stage, length in stages.items()}
    return values
