"""Metrics against scikit-learn and plain NumPy."""

import keras
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

import keras_gssl as gssl
from keras_gssl import metrics

COUNTS = [500, 101, 100, 20, 19]


@pytest.fixture(scope="module")
def predictions():
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 400)
    logits = random.normal(size=(400, 5)) + 1.5 * np.eye(5)[labels]
    return labels, logits.astype("float32")


def test_groups_follow_the_limits():
    groups = metrics.shot_groups(COUNTS)
    assert {name: classes.tolist() for name, classes in groups.items()} == {
        "many": [0, 1],
        "medium": [2, 3],
        "few": [4],
    }
    groups = metrics.shot_groups(COUNTS, many_above=400, few_below=101)
    assert {name: classes.tolist() for name, classes in groups.items()} == {
        "many": [0],
        "medium": [1],
        "few": [2, 3, 4],
    }


def test_against_scikit_learn(predictions):
    labels, logits = predictions
    result = metrics.evaluate_logits(labels, logits, COUNTS)
    predicted = logits.argmax(1)
    recall = recall_score(labels, predicted, average=None)
    np.testing.assert_allclose(result["per_class"], recall)
    assert result["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert result["accuracy"] == pytest.approx((predicted == labels).mean())
    assert result["medium"] == pytest.approx(recall[[2, 3]].mean())


def reference_calibration_error(labels, probabilities, bins):
    """Bin by bin, as the paper writes it."""
    confidence, hits = probabilities.max(1), probabilities.argmax(1) == labels
    error = 0.0
    for low in np.arange(bins) / bins:
        inside = (confidence > low) & (confidence <= low + 1 / bins)
        if inside.any():
            error += inside.mean() * abs(hits[inside].mean() - confidence[inside].mean())
    return error


def test_calibration_error_function_and_metric(predictions):
    labels, logits = predictions
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(2.0 * logits))
    expected = reference_calibration_error(labels, probabilities, 15)
    assert metrics.expected_calibration_error(labels, probabilities) == pytest.approx(expected, rel=1e-5)
    metric = metrics.ExpectedCalibrationError(scale=2.0)
    for part in np.array_split(np.arange(400), 7):
        metric.update_state(labels[part], logits[part])
    assert float(metric.result()) == pytest.approx(expected, rel=1e-4)


def test_class_accuracy_metric_over_batches(predictions):
    labels, logits = predictions
    balanced, few = metrics.ClassAccuracy(5), metrics.ClassAccuracy(5, [2, 4], name="few")
    for part in np.array_split(np.arange(400), 7):
        balanced.update_state(labels[part], logits[part])
        few.update_state(labels[part], logits[part])
    result = metrics.evaluate_logits(labels, logits, COUNTS)
    assert float(balanced.result()) == pytest.approx(result["balanced_accuracy"], rel=1e-5)
    assert float(few.result()) == pytest.approx(np.mean([result["per_class"][2], result["per_class"][4]]), rel=1e-5)


def test_class_without_test_images_does_not_count():
    result = metrics.evaluate_logits(np.array([0, 0]), np.array([[2.0, 0, 0], [0, 2, 0]]), [200, 150, 5])
    assert result["per_class"] == [0.5, None, None]
    assert result["balanced_accuracy"] == 0.5 and result["few"] is None and result["medium"] is None


@pytest.mark.parametrize("metric", [metrics.ClassAccuracy(4, [1, 2]), metrics.ExpectedCalibrationError(3.0, 10)])
def test_round_trip(metric):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert again.get_config() == metric.get_config()


def test_usable_in_compile(small_data, make_model):
    few = gssl.metrics.ClassAccuracy(3, [2], name="few")
    model = make_model({"metrics": ["accuracy", few]})
    results = model.evaluate(small_data.test(), return_dict=True, verbose=0)
    assert set(results) == {"loss", "accuracy", "few"}
