"""Muon, for the kernels of convolutions, with SGD for everything else."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

from keras_gssl.backend import keras, ops, tf
from keras_gssl.bounds import ABOVE_ZERO
from keras_gssl.optimizers.sgd import SGD

#: Of the polynomial that each round applies to the singular values: steep at 0, it leaves them between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
#: Rounds after each of which the square is computed anew: rounding errors in it grow twelvefold with every round.
ROUNDS = (3, 2)
#: Kernels of one shape with at most as many inputs to an output, or outputs, go through the iteration as a stack, which
#: leaves a graph of half the size for a ResNet; larger ones fill a processor by themselves, and in stacks are slower.
LARGEST_STACKED = 256
TINY = 1e-7
SMALLEST = 1e-37  # that float32 has room for


@keras.saving.register_keras_serializable(package="keras_gssl")
class Muon(SGD):
    """Momentum whose steps go equally far in all directions, for short trainings of convolutional networks.

    The step of `SGD` for a convolution's kernel, as a matrix with a column for each output channel, is dominated by a
    few directions. Here its singular values are brought to about 1 first, so that rare directions are learned as fast.
    A kernel keeps its length, and moves by `learning_rate * kernel_rate` of it in every step, however large the
    gradient is; weight decay has no part in that. Biases, scales, dense and cosine heads, and kernels with a single
    input or output channel, depthwise ones among them, are trained by SGD's rule as it is.

    It is made for kernels that a normalization follows, for which their length does not count. One that begins as zeros
    keeps the length that its first step gives it.

    Keras' own `Muon` takes matrices alone, and so trains a convolutional network with Adam.

    Args:
        learning_rate: Float or schedule; as large as SGD's.
        momentum: In `[0, 1)`; 0 needs `nesterov=False`.
        weight_decay: L2 factor in the gradient of all weights but those kernels.
        nesterov: Whether the step looks ahead along the velocity.
        kernel_rate: Share of its length that a kernel moves by, for a learning rate of 1: with 0.2 and a rate of 0.1
            it is 2 % in a step.

    Example:

    >>> optimizer = gssl.Muon(0.1, momentum=0.9, weight_decay=5e-4)

    Reference:
        K. Jordan and others, "Muon: An optimizer for hidden layers in neural networks" (2024), with the iteration and
        its coefficients; lengths are kept as in "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498),
        whose later version uses it.
    """

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = True,
        kernel_rate: float = 0.2,
        name: str = "muon",
        **kwargs: Any,
    ):
        ABOVE_ZERO.check("kernel_rate", kernel_rate)
        super().__init__(learning_rate, momentum, weight_decay, nesterov, name, **kwargs)
        self.kernel_rate = kernel_rate

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        if _is_kernel(variable.shape):
            self._move([(gradient, variable)], learning_rate)
        else:
            super().update_step(gradient, variable, learning_rate)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> None:
        """Keras' own brings every weight to `update_step` by itself; here kernels of one shape are moved together."""
        alike: dict[Any, list[Any]] = defaultdict(list)
        gradients, variables = [], []  # of what is not among them
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            # Several devices have their copies of each weight, which Keras' own looks after.
            stackable = _is_kernel(variable.shape) and not tf.distribute.has_strategy()
            if stackable and min(_matrix_shape(variable)) <= LARGEST_STACKED:
                alike[_matrix_shape(variable), variable.dtype].append((gradient, variable))
            else:
                gradients.append(gradient)
                variables.append(variable)
        for kernels in alike.values():
            self._move(kernels, learning_rate)
        super()._backend_update_step(gradients, variables, learning_rate)

    def _move(self, pairs: list[Any], learning_rate: Any) -> None:
        """The step for kernels of one shape and type, in float32: half precision has no room for squares."""
        shape, dtype = _matrix_shape(pairs[0][1]), pairs[0][1].dtype

        def stacked(values: list[Any]) -> Any:
            return ops.stack([ops.reshape(ops.cast(value, "float32"), shape) for value in values])

        directions = [self.direction(ops.cast(gradient, dtype), variable) for gradient, variable in pairs]
        rates = [ops.cast(self.rate_of(variable, learning_rate), "float32") for _, variable in pairs]
        share = self.kernel_rate * ops.reshape(ops.stack(rates), (-1, 1, 1))
        kernels, steps = stacked([variable for _, variable in pairs]), orthogonalized(stacked(directions))
        length = _length(kernels)
        moved = kernels - share * ops.where(length > 0, length, 1) * steps / ops.maximum(_length(steps), TINY)
        moved = moved * ops.where(length > 0, length / ops.maximum(_length(moved), TINY), 1)
        for kernel, (_, variable) in zip(ops.unstack(moved, len(pairs)), pairs, strict=True):
            self.assign(variable, ops.cast(ops.reshape(kernel, variable.shape), dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_rate": self.kernel_rate}


def orthogonalized(matrices: Any) -> Any:
    """Matrices with the same directions, and singular values between 0.7 and 1.2.

    Those below some 0.15 % of a matrix' length stay smaller.

    Args:
        matrices: `(count, rows, columns)`, float32.

    Reference:
        The Newton-Schulz iteration of Muon, in matrix products alone. Each of its rounds multiplies the matrix by a
        polynomial of its square. Here the square is followed for some rounds in place of the matrix, as it is the
        smaller: about half of the work for a 3x3 kernel with as many inputs as outputs, at the same exactness.
    """
    tall = matrices.shape[1] > matrices.shape[2]  # the smaller square is the cheaper
    matrices = _transposed(matrices) if tall else matrices
    matrices = matrices / ops.maximum(ops.max(ops.abs(matrices), (1, 2), keepdims=True), SMALLEST)  # room for squares
    matrices = matrices / ops.maximum(_length(matrices), TINY)
    for rounds in ROUNDS:
        matrices = _iterated(matrices, rounds)
    return _transposed(matrices) if tall else matrices


def _iterated(matrices: Any, rounds: int) -> Any:
    square = ops.matmul(matrices, _transposed(matrices))
    product = factor = _polynomial(square)
    for _ in range(rounds - 1):
        square = ops.matmul(ops.matmul(factor, factor), square)
        factor = _polynomial(square)
        product = ops.matmul(factor, product)
    return ops.matmul(product, matrices)


def _polynomial(square: Any) -> Any:
    a, b, c = COEFFICIENTS
    return a * ops.eye(square.shape[-1]) + b * square + c * ops.matmul(square, square)


def _transposed(matrices: Any) -> Any:
    return ops.transpose(matrices, (0, 2, 1))


def _length(matrices: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(matrices), (1, 2), keepdims=True))


def _is_kernel(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(shape[-2:]) > 1


def _matrix_shape(kernel: Any) -> tuple[int, int]:
    *rows, columns = kernel.shape
    return math.prod(rows), columns
