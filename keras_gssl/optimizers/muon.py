"""Muon, for the kernels of convolutions, with SGD for everything else."""

from __future__ import annotations

from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO
from keras_gssl.optimizers.sgd import SGD

#: Of the polynomial that each round applies to the singular values: steep at 0, it leaves them between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
#: Rounds after each of which the square is computed anew: rounding errors in it grow twelvefold with every round.
ROUNDS = (3, 2)
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
        if not _is_kernel(variable.shape):
            super().update_step(gradient, variable, learning_rate)
            return
        # In float32 whatever the kernel is kept in: half precision has no room for squares.
        step = orthogonalized(ops.cast(self.direction(ops.cast(gradient, variable.dtype), variable), "float32"))
        kernel = ops.cast(variable, "float32")
        share = self.kernel_rate * ops.cast(self.rate_of(variable, learning_rate), "float32")
        length = _length(kernel)
        moved = kernel - share * ops.where(length > 0, length, 1) * step / ops.maximum(_length(step), TINY)
        moved = moved * ops.where(length > 0, length / ops.maximum(_length(moved), TINY), 1)
        self.assign(variable, ops.cast(moved, variable.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_rate": self.kernel_rate}


def orthogonalized(kernel: Any) -> Any:
    """A kernel with the same directions, and singular values between 0.7 and 1.2.

    Those below some 0.15 % of its length stay smaller.

    Args:
        kernel: `(height, width, inputs, outputs)`, float32; as a matrix it has a column for each output.

    Reference:
        The Newton-Schulz iteration of Muon, in matrix products alone. Each of its rounds multiplies the matrix by a
        polynomial of its square. Here the square is followed for some rounds in place of the matrix, as it is the
        smaller: about half of the work for a 3x3 kernel with as many inputs as outputs, at the same exactness.
    """
    outputs = kernel.shape[-1]
    matrix = ops.reshape(kernel, (-1, outputs))
    tall = matrix.shape[0] > outputs  # the smaller square is the cheaper
    matrix = ops.transpose(matrix) if tall else matrix
    matrix = matrix / ops.maximum(ops.max(ops.abs(matrix)), SMALLEST)  # so that squares have room
    matrix = matrix / ops.maximum(_length(matrix), TINY)
    for rounds in ROUNDS:
        matrix = _iterated(matrix, rounds)
    return ops.reshape(ops.transpose(matrix) if tall else matrix, kernel.shape)


def _iterated(matrix: Any, rounds: int) -> Any:
    square = ops.matmul(matrix, ops.transpose(matrix))
    product = factor = _polynomial(square)
    for _ in range(rounds - 1):
        square = ops.matmul(ops.matmul(factor, factor), square)
        factor = _polynomial(square)
        product = ops.matmul(factor, product)
    return ops.matmul(product, matrix)


def _polynomial(square: Any) -> Any:
    a, b, c = COEFFICIENTS
    return a * ops.eye(square.shape[0]) + b * square + c * ops.matmul(square, square)


def _is_kernel(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(shape[-2:]) > 1


def _length(values: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(values)))
