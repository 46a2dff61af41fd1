"""Functions that tf.data traces as they are written, without a second's work of AutoGraph on every start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from keras_gssl.backend import tf

Function = TypeVar("Function", bound=Callable[..., Any])


def as_written(function: Function, *parts: Any) -> Function:
    """A function for `map` or `flat_map` that AutoGraph does not convert.

    This package's functions have no `if` or `for` over tensors. Those of its users may, so it is left on where one of
    `parts`, the objects that the function calls (None for one that is not there), is of another package's class.
    """
    foreign = any(part is not None and not type(part).__module__.startswith("keras_gssl.") for part in parts)
    return function if foreign else tf.autograph.experimental.do_not_convert(function)
