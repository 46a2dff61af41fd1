"""Which images and quadrants are altered, and by what."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_gssl as gssl

COUNT = 2000


def quadrants(images):
    return images.reshape(len(images), 2, 2, 2, 2, 3).transpose(0, 1, 3, 2, 4, 5).reshape(len(images), 4, -1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((COUNT, 4, 4, 3)).astype("float32")


@given(seed=st.integers(0, 2**31), share=st.sampled_from([0.3, 1.0]))
@settings(max_examples=10, deadline=None)
@pytest.mark.parametrize("placement", ["together", "one", "apart"])
def test_a_draw_is_a_pure_function_of_the_seed_and_moves_pixels_only(placement, seed, share):
    pictures = np.random.default_rng(seed).random((6, 4, 4, 3)).astype("float32")
    tasks = [gssl.Flip(), gssl.LoRotE(), gssl.ShuffleChannels()]
    draw = gssl.TaskDraw(placement, share)
    out, labels = draw(pictures, tasks, [seed, 3])
    again, _ = draw(pictures, tasks, [seed, 3])
    np.testing.assert_array_equal(out, again)
    np.testing.assert_array_equal(np.sort(out.numpy().reshape(6, -1)), np.sort(pictures.reshape(6, -1)))
    untouched = np.all([label.numpy() == -1 for label in labels.values()], axis=0)
    np.testing.assert_array_equal(out.numpy()[untouched], pictures[untouched])


def test_one_task_per_image_in_equal_shares(images, tasks):
    out, labels = gssl.TaskDraw("one", share=0.6)(images, tasks, [1, 1])
    applied = np.stack([labels[task.name].numpy() >= 0 for task in tasks], axis=1)
    assert applied.sum(1).max() == 1
    np.testing.assert_allclose(applied.mean(0), 0.2, atol=0.03)
    changed = (quadrants(out.numpy()) != quadrants(images)).any(2)
    assert changed.sum(1).max() == 1 and not changed[~applied.any(1)].any()


def test_a_quadrant_of_its_own_for_each_task(images, tasks):
    out, labels = gssl.TaskDraw("apart", share=0.5)(images, tasks, [1, 1])
    applied = np.stack([labels[task.name].numpy() >= 0 for task in tasks], axis=1)
    assert set(applied.sum(1)) == {0, 3}
    assert applied.any(1).mean() == pytest.approx(0.5, abs=0.04)
    changed = (quadrants(out.numpy()) != quadrants(images)).any(2)
    trivial = (labels["flip"] == 0).numpy() | (labels["lorot"] % 4 == 0).numpy() | (labels["channels"] == 0).numpy()
    assert (changed[applied.any(1) & ~trivial].sum(1) == 3).all()
    with pytest.raises(ValueError, match="one of 4 quadrants"):
        gssl.TaskDraw("apart")(images, [gssl.Flip(name=f"flip_{i}") for i in range(5)], [0, 0])


def test_together_alters_all_or_nothing_and_stops(images, tasks):
    draw = gssl.TaskDraw("together", share=0.25, until_epoch=3)
    _, labels = draw(images, tasks, [1, 1], epoch=2)
    applied = np.stack([labels[task.name].numpy() >= 0 for task in tasks], axis=1)
    assert set(applied.sum(1)) == {0, 3} and applied.any(1).mean() == pytest.approx(0.25, abs=0.03)
    out, labels = draw(images, tasks, [1, 1], epoch=3)
    np.testing.assert_array_equal(out, images)
    assert all((label.numpy() == -1).all() for label in labels.values())


def test_chances_of_each_image(images, tasks):
    chances = np.zeros((COUNT, 3), "float32")
    chances[: COUNT // 2, 1] = 1.0
    chances[COUNT // 2 :] = [0.25, 0.0, 0.5]
    _, labels = gssl.TaskDraw("one")(images, tasks, [2, 2], chances=tf.constant(chances))
    applied = np.stack([labels[task.name].numpy() >= 0 for task in tasks], axis=1)
    np.testing.assert_array_equal(applied[: COUNT // 2], [[False, True, False]] * (COUNT // 2))
    np.testing.assert_allclose(applied[COUNT // 2 :].mean(0), [0.25, 0, 0.5], atol=0.05)


@pytest.mark.parametrize("turns", range(4))
def test_flip_and_rotation_on_one_quadrant_hide_each_other(turns):
    """Rows reversed are half a turn of the mirror image, and pictures are mirrored at random anyway."""
    patch = np.random.default_rng(turns).random((5, 5, 3))
    flipped_then_turned = np.rot90(patch[::-1], turns)
    mirrored_then_turned_on = np.rot90(patch[:, ::-1], turns + 2)
    np.testing.assert_array_equal(flipped_then_turned, mirrored_then_turned_on)


def test_data_sets_and_pipelines_take_a_draw(small_data, tasks):
    draw = gssl.TaskDraw("one", share=0.5, until_epoch=1)
    training_set = small_data.train(50, tasks, draw=draw)
    (_, first), (_, second) = list(training_set.from_epoch(0).take(2))
    assert any((first[task.name].numpy() >= 0).any() for task in tasks)
    assert all((second[task.name].numpy() == -1).all() for task in tasks)
    plain = tf.data.Dataset.from_tensor_slices((np.zeros((8, 16, 16, 3), "float32"), np.arange(8))).batch(8)
    _, labels = next(iter(gssl.data.with_pretext(plain, tasks, draw=gssl.TaskDraw("one"))))
    assert sum(int((labels[task.name] >= 0).numpy().sum()) for task in tasks) in (7, 8)


def test_round_trip_and_mistakes():
    draw = gssl.TaskDraw("apart", 0.5, 7)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(draw))
    assert repr(again) == repr(draw) == "TaskDraw(placement='apart', share=0.5, until_epoch=7)"
    with pytest.raises(ValueError, match="placement must be one of"):
        gssl.TaskDraw("beside")
    with pytest.raises(ValueError, match="share must be"):
        gssl.TaskDraw(share=1.5)
