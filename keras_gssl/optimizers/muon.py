"""Muon, for the kernels of convolutions, with SGD for everything else."""

from __future__ import annotations

import math
from typing import Any

from keras_gssl.backend import keras, ops
from keras_gssl.bounds import ABOVE_ZERO
from keras_gssl.optimizers.sgd import SGD

#: Of the polynomial that each round applies to the singular values: steep at 0, it leaves them between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
TINY = 1e-7


@keras.saving.register_keras_serializable(package="keras_gssl")
class Muon(SGD):
    """Momentum whose steps go equally far in all directions, for short trainings of convolutional networks.

    The step of `SGD` for a convolution's kernel, as a matrix of output channels by inputs, is dominated by a few
    directions. Here all its singular values are brought to about 1 first, so that rare directions are learned as fast.
    A kernel keeps its length, and moves by `learning_rate * kernel_rate` of it in every step, whatever the gradient;
    weight decay has no part in that. Biases, scales and dense or cosine heads are trained by SGD's rule as it is, and
    so are depthwise kernels, which have a single column.

    Keras' own `Muon` takes matrices alone, and so trains a convolutional network with Adam.

    Args:
        learning_rate: Float or schedule; as large as SGD's.
        momentum: In `[0, 1)`.
        weight_decay: L2 factor in the gradient of all weights but those kernels.
        nesterov: Whether the step looks ahead along the velocity.
        kernel_rate: What the learning rate is multiplied by for kernels. A kernel that moves by a tenth of its
            length in each of a few hundred steps learns fastest; the more steps, the smaller.

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
        step = orthogonalized(self.direction(ops.cast(gradient, variable.dtype), variable))
        length = _length(variable)
        share = self.kernel_rate * self.rate_of(variable, learning_rate)
        moved = variable - share * ops.where(length > 0, length, 1) * step / ops.maximum(_length(step), TINY)
        # A kernel of zeros has no length to keep: it gets that of its first step.
        self.assign(variable, moved * ops.where(length > 0, length / ops.maximum(_length(moved), TINY), 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kernel_rate": self.kernel_rate}


def orthogonalized(kernel: Any) -> Any:
    """A kernel with the same directions and, but for zeros, singular values between 0.7 and 1.2.

    Args:
        kernel: `(height, width, inputs, outputs)`; as a matrix it has a column for each output.

    Reference:
        The Newton-Schulz iteration of Muon, in matrix products alone. Each of its rounds multiplies the matrix by a
        polynomial of its square. Here the square is followed through the rounds instead, as it is the smaller: less
        than half of the work for a 3x3 kernel, and in float32 as exact.
    """
    outputs = kernel.shape[-1]
    matrix = ops.reshape(kernel, (-1, outputs))
    tall = matrix.shape[0] > outputs  # the smaller square is the cheaper
    matrix = ops.transpose(matrix) if tall else matrix
    matrix = matrix / (_length(matrix) + TINY)
    square = ops.matmul(matrix, ops.transpose(matrix))
    a, b, c = COEFFICIENTS
    product = None
    for _ in range(ROUNDS):
        factor = a * ops.eye(square.shape[0], dtype=square.dtype) + b * square + c * ops.matmul(square, square)
        square = ops.matmul(ops.matmul(factor, factor), square)
        product = factor if product is None else ops.matmul(factor, product)
    matrix = ops.matmul(product, matrix)
    return ops.reshape(ops.transpose(matrix) if tall else matrix, kernel.shape)


def _is_kernel(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and min(math.prod(shape[:-1]), shape[-1]) > 1


def _length(values: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(values)))
