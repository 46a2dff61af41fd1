"""The gates by name."""

from __future__ import annotations

from keras_gssl.pretext.controls import ConstantGate, RandomGate, ShuffledGate
from keras_gssl.pretext.gates import FrozenGate, Gate, LearnedGate, NoGate, RewardedGate
from keras_gssl.pretext.look_ahead import LookAheadGate

GATES: dict[str, type[Gate]] = {
    "frozen": FrozenGate,
    "learned": LearnedGate,
    "rewarded": RewardedGate,
    "none": NoGate,
    "look-ahead": LookAheadGate,
    "uniform": ConstantGate,
    "random": RandomGate,
    "shuffled": ShuffledGate,
}


def make_gate(gating: str | Gate, num_tasks: int) -> Gate:
    """The gate of that name, or the one given, for so many tasks; with too few there is nothing to weigh."""
    if isinstance(gating, Gate):
        if gating.taken:
            raise ValueError(f"The gate {gating.name!r} already belongs to a model: make another one for this model.")
        if gating.num_tasks not in (None, num_tasks):
            raise ValueError(f"The gate was made for {gating.num_tasks} tasks, the model has {num_tasks}.")
        least = gating.least_tasks
    elif isinstance(gating, str) and gating in GATES:
        least = GATES[gating].least_tasks
    else:
        known = ", ".join(map(repr, GATES))
        raise ValueError(f"gating must be one of {known}, or a keras_gssl.Gate object; received {gating!r}.")
    if num_tasks < least:
        return NoGate(num_tasks, dtype="float32")
    if isinstance(gating, Gate):
        gating.num_tasks, gating.taken = num_tasks, True
        return gating
    return GATES[gating](num_tasks, dtype="float32")
