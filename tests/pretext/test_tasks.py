"""Quadrant transforms against golden values, NumPy and their properties."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_gssl as gssl
from keras_gssl.pretext import quadrants
from keras_gssl.pretext.draw import apply_tasks, draw_and_apply


@pytest.mark.parametrize(
    ("axis", "key"), [("rows", "out_imbalanced_flip_rows"), ("columns", "out_tiny_released_flip_cols")]
)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "int64"])
def test_all_192_combinations_equal_golden(golden_transforms, axis, key, dtype):
    image = golden_transforms["image_chw"].transpose(1, 2, 0).astype(dtype)
    position, turns, flip, order, lorot_label = golden_transforms["labels_q_k_flip_sc_rot"].T.astype("int32")
    tasks = [gssl.Flip(axis=axis), gssl.LoRotE(), gssl.ShuffleChannels()]
    images = tf.constant(np.repeat(image[None], len(position), axis=0))
    out, labels = apply_tasks(images, tasks, tf.constant(position), [tf.constant(c) for c in (flip, turns, order)])
    np.testing.assert_array_equal(out.numpy().transpose(0, 3, 1, 2), golden_transforms[key].astype(dtype))
    np.testing.assert_array_equal(labels["lorot"], lorot_label)
    np.testing.assert_array_equal(labels["flip"], flip)
    np.testing.assert_array_equal(labels["channels"], order)


def test_channel_orders_are_itertools_order(golden):
    assert [list(order) for order in gssl.pretext.tasks.CHANNEL_ORDERS] == golden["permutations_itertools_range3"]


def reference(image, position, turns, flip, order):
    """What the reference does to one image, in NumPy."""
    image = image.copy()
    half = image.shape[0] // 2
    rows, columns = (slice(half * part, half * (part + 1)) for part in divmod(position, 2))
    patch = image[rows, columns]
    patch = patch[::-1] if flip else patch
    patch = np.rot90(patch, turns)
    image[rows, columns] = patch[..., list(itertools.permutations(range(3)))[order]]
    return image


@settings(max_examples=25, deadline=None)
@given(half=st.integers(1, 9), seed=st.integers(0, 2**31 - 1), dtype=st.sampled_from(["uint8", "float32"]))
def test_any_even_size_equals_numpy(half, seed, dtype):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (5, 2 * half, 2 * half, 3)).astype(dtype)
    draws = [random.integers(0, limit, 5).astype("int32") for limit in (4, 4, 2, 6)]
    position, turns, flip, order = draws
    tasks = [gssl.Flip(), gssl.LoRotE(), gssl.ShuffleChannels()]
    out, _ = apply_tasks(tf.constant(images), tasks, position, [flip, turns, order])
    assert out.dtype == images.dtype
    np.testing.assert_array_equal(out, [reference(*arguments) for arguments in zip(images, *draws, strict=True)])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1))
def test_transforms_only_move_pixels(seed):
    images = np.random.default_rng(seed).normal(size=(4, 8, 8, 3)).astype("float32")
    out, _ = draw_and_apply(tf.constant(images), [gssl.LoRotE(), gssl.Flip(), gssl.ShuffleChannels()], [seed, 1])
    changed = (out.numpy() != images).any(-1)
    np.testing.assert_array_equal(np.sort(out.numpy().reshape(4, -1)), np.sort(images.reshape(4, -1)))
    quadrant_changed = changed.reshape(4, 2, 4, 2, 4).any((2, 4)).reshape(4, 4).sum(1)
    assert (quadrant_changed <= 1).all()


@pytest.mark.parametrize(
    ("tasks", "share"),
    [
        ([gssl.LoRotE()], 1 / 4),
        ([gssl.LoRotE(), gssl.Flip()], 1 / 8),
        ([gssl.LoRotE(), gssl.Flip(), gssl.ShuffleChannels()], 1 / 48),
    ],
)
def test_draws_are_uniform_and_independent(tasks, share):
    count = 20_000
    _, labels = draw_and_apply(tf.zeros((count, 2, 2, 3)), tasks, [3, 4])
    choices = [labels["lorot"].numpy() % 4] + [labels[task.name].numpy() for task in tasks[1:]]
    untouched = np.all([choice == 0 for choice in choices], axis=0).mean()
    # Five standard deviations of the share of a draw of this size.
    assert abs(untouched - share) < 5 * np.sqrt(share * (1 - share) / count)
    for task in tasks:
        frequencies = np.bincount(labels[task.name], minlength=task.num_labels) / count
        assert np.abs(frequencies - 1 / task.num_labels).max() < 5 * np.sqrt(1 / task.num_labels / count)


def test_quadrants_split_and_join_are_inverse():
    images = tf.random.normal((3, 10, 10, 4))
    np.testing.assert_array_equal(quadrants.join(quadrants.split(images)), images)


@pytest.mark.parametrize("shape", [(1, 7, 7, 3), (1, 8, 6, 3)])
def test_odd_or_oblong_images_are_refused(shape):
    with pytest.raises(ValueError, match="square image with an even side"):
        quadrants.split(tf.zeros(shape))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="3 colour channels"):
        gssl.ShuffleChannels().transform(tf.zeros((1, 2, 2, 1)), tf.zeros(1, tf.int32))
    with pytest.raises(ValueError, match="'rows' or 'columns'"):
        gssl.Flip(axis="up")
    with pytest.raises(ValueError, match="share a name"):
        gssl.pretext.tasks.check_tasks([gssl.Flip(), gssl.Flip()])
    with pytest.raises(ValueError, match="num_choices"):
        gssl.PretextTask()
