"""Training images mixed of two: mixup and CutMix, the second image from the same distribution or a balanced one."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from keras_gssl.backend import keras, tf
from keras_gssl.bounds import ABOVE_ZERO, SHARE
from keras_gssl.configured import Configured
from keras_gssl.draws import whole_numbers

#: What labels hold of a mixed batch: the class of the second image, and the share of the first.
MIXED_CLASS, OWN_SHARE = "mixed_class", "own_share"
_QUANTILES = 4096


class Mixing(Configured):
    """Base: which images are mixed, and how much of each; a subclass says how in `blend`.

    Args:
        alpha: Shares are drawn from Beta(alpha, alpha): 1 uniform, towards 0 nearly all of one image.
        share: Share of the images that are mixed.
        balanced: Draw the second image from a class drawn uniformly, so that rare classes come often; False draws from
            all images alike.
        until_epoch: Epochs from this one on, counted from 0, are not mixed. None mixes all.
    """

    def __init__(self, alpha: float = 1.0, share: float = 1.0, balanced: bool = False, until_epoch: int | None = None):
        ABOVE_ZERO.check("alpha", alpha)
        SHARE.check("share", share)
        self.alpha, self.share, self.balanced, self.until_epoch = alpha, share, balanced, until_epoch
        # A table of quantiles in place of rejection sampling: a pure function of the seed that XLA compiles.
        middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        self._shares = stats.beta(alpha, alpha).ppf(middles).astype("float32")

    def __call__(
        self, images: tf.Tensor, partners: tf.Tensor, seed: tf.Tensor, epoch: tf.Tensor | int = 0
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mix two batches.

        Args:
            images: Normalised, float32, shape `(batch, height, width, channels)`.
            partners: The second images, likewise.
            seed: Shape `(2,)`; the result is a pure function of it.
            epoch: Counted from 0.

        Returns:
            Mixed images, and the share of the first image in each, shape `(batch,)`.
        """
        batch = tf.shape(images)[:1]

        def draw(index: int, below: int) -> tf.Tensor:
            return whole_numbers(seed, index, batch, below)

        shares = tf.gather(tf.constant(self._shares), draw(0, _QUANTILES))
        mixed = draw(1, _QUANTILES) < round(self.share * _QUANTILES)
        if self.until_epoch is not None:
            mixed &= tf.cast(epoch, tf.int64) < self.until_epoch
        places = draw(2, images.shape[1]), draw(3, images.shape[2])
        return self.blend(images, partners, tf.where(mixed, shares, 1.0), *places)

    def blend(
        self, images: tf.Tensor, partners: tf.Tensor, shares: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixed images and their shares; `rows` and `columns` are places drawn uniformly in each image."""
        raise NotImplementedError(f"{type(self).__name__} must implement blend(images, partners, shares, ...).")

    def get_config(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "share": self.share,
            "balanced": self.balanced,
            "until_epoch": self.until_epoch,
        }


@keras.saving.register_keras_serializable(package="keras_gssl")
class MixUp(Mixing):
    """Weighted mean of two images; the loss is the same mean of the losses for either label.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> _, labels = next(iter(data.train(batch_size=4, mixing=gssl.MixUp(alpha=0.2))))
    >>> sorted(labels)
    ['class', 'mixed_class', 'own_share']

    Reference:
        "mixup: Beyond Empirical Risk Minimization" (ICLR 2018), section 2. For long tails with a classifier re-trained
        afterwards: "Improving Calibration for Long-Tailed Recognition" (CVPR 2021), section 3.
    """

    def blend(
        self, images: tf.Tensor, partners: tf.Tensor, shares: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        share = tf.cast(shares[:, tf.newaxis, tf.newaxis, tf.newaxis], images.dtype)
        return share * images + (1 - share) * partners, shares


@keras.saving.register_keras_serializable(package="keras_gssl")
class CutMix(Mixing):
    """A rectangle of the second image pasted into the first; the loss is weighed by the areas.

    With `balanced` the pasted pictures come from a class-balanced draw: rare classes are seen on the rich backgrounds
    of frequent ones.

    Example:

    >>> data = gssl.data.digits_lt()
    >>> images, labels = next(iter(data.train(batch_size=4, mixing=gssl.CutMix(share=0.5, balanced=True))))

    Reference:
        "CutMix" (ICCV 2019), section 3; balanced: "The Majority Can Help The Minority" (CVPR 2022), section 3.
    """

    def blend(
        self, images: tf.Tensor, partners: tf.Tensor, shares: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # The rectangle lies about a place in the image and is cut off at the border, so the area is counted anew.
        side = tf.sqrt(1 - shares)
        inside_rows, inside_columns = (
            _within(places, side * length, length)
            for places, length in ((rows, images.shape[1]), (columns, images.shape[2]))
        )
        inside = inside_rows[:, :, tf.newaxis] & inside_columns[:, tf.newaxis, :]
        area = tf.reduce_mean(tf.cast(inside, tf.float32), axis=(1, 2))
        return tf.where(inside[..., tf.newaxis], partners, images), 1 - area


def _within(places: tf.Tensor, lengths: tf.Tensor, size: int) -> tf.Tensor:
    """Which of `size` positions lie in the interval of whole length about each place; shape `(batch, size)`."""
    half = tf.cast(tf.floor(lengths / 2), tf.int32)
    positions = tf.range(size)[tf.newaxis]
    return (positions >= (places - half)[:, tf.newaxis]) & (positions < (places + half)[:, tf.newaxis])


#: Kinds of mixing by name, with "none".
MIXINGS: dict[str, type[Mixing] | None] = {"none": None, "mixup": MixUp, "cutmix": CutMix}


class Partners:
    """Draws the second images of a batch.

    Args:
        labels: Class of every training image.
        balanced: See `Mixing`.
    """

    def __init__(self, labels: np.ndarray, balanced: bool):
        order = np.argsort(labels, kind="stable")
        _, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
        if not balanced:
            first, counts = np.array([0]), np.array([len(labels)])
        self._groups = len(counts)
        with tf.device("CPU:0"):
            self._order, self._first, self._counts = (tf.constant(each, tf.int64) for each in (order, first, counts))

    def __call__(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Indices of `count` images, a pure function of the seed; its first word is counted up once."""
        groups = whole_numbers(seed, 0, (count,), self._groups)
        numbers = whole_numbers(seed, 1, (count,), tf.int64.max, tf.int64)
        places = tf.gather(self._first, groups) + numbers % tf.gather(self._counts, groups)
        return tf.gather(self._order, places)
