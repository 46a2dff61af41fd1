"""Several devices that train one model together (`tf.distribute`): the strategy, and sums over them."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import ops, tf
from keras_gssl.errors import UserError


def strategy_for(devices: int) -> tf.distribute.Strategy:
    """The strategy that trains on the first `devices` GPUs, or on as many logical CPUs where there is no GPU.

    Make and load models within `strategy.scope()`; `fit` then shares every batch out among the devices.

    Raises:
        UserError: There are not so many devices.
    """
    if devices == 1:
        return tf.distribute.get_strategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    available = tf.config.list_logical_devices(kind)
    if len(available) < devices:
        raise UserError(
            f"{devices} devices were asked for, but there are {len(available)} ({kind}): use devices="
            f"{len(available)}" + (", or a machine with more GPUs." if kind == "GPU" else ", or a machine with GPUs.")
        )
    return tf.distribute.MirroredStrategy([device.name for device in available[:devices]])


def check_shares(batch_size: int, num_images: int, devices: int) -> None:
    """Raise `ValueError` where the batches of an epoch cannot be shared out among so many devices."""
    last = num_images % batch_size
    if batch_size % devices or 0 < last < devices:
        raise UserError(
            f"Batches of {batch_size} images, {last or batch_size} in the last, cannot be shared out among {devices} "
            f"devices: choose a batch_size that is a multiple of {devices} and leaves no smaller rest."
        )


def num_replicas() -> int:
    """How many devices take part in the current step."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def sum_over_replicas(value: Any) -> Any:
    """Sum of a tensor over all devices, differentiable."""
    if num_replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def global_batch_size(batch: Any) -> Any:
    """Images of the step on all devices together, as float32."""
    return sum_over_replicas(ops.cast(ops.shape(batch)[0], "float32"))


def mean_share(values: Any) -> Any:
    """This device's share of the mean over the global batch, times the number of devices.

    The mean of this over the devices is the mean of `values`, shape `(batch,)`, over all images, also where the
    devices have unequally many. With one device it is the mean.
    """
    if num_replicas() == 1:
        return ops.mean(values)
    return ops.sum(values) * num_replicas() / global_batch_size(values)
