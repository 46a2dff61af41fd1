"""What a finished run is worth: metrics of its last and best epoch, and what its report is drawn from."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from keras_gssl.backend import keras, tf
from keras_gssl.data.evaluation_set import EvaluationSet
from keras_gssl.data.image_data import ImageData
from keras_gssl.errors import counted
from keras_gssl.files import write_json
from keras_gssl.metrics import evaluate_logits, expected_calibration_error
from keras_gssl.models.supervised import SupervisedModel
from keras_gssl.probabilities import fit_temperature
from keras_gssl.runs.building import trained_mix
from keras_gssl.runs.checkpoints import deciding, load_model, rows_of_best, save_model
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.precision import precision_of
from keras_gssl.runs.result import RunResult, Scores, write_result
from keras_gssl.runs.settings import TrainingSettings
from keras_gssl.sharing import usable_cores
from keras_gssl.version import __version__

MISTAKES_KEPT = 24


def evaluate(model: SupervisedModel, settings: TrainingSettings, data: ImageData, folder: RunFolder) -> RunResult:
    """Metrics of the last and of the best epoch; writes the classifier, its predictions and `metrics.json`."""
    rows = folder.read_history(settings.epochs)
    classifier = model.classifier(normalised=True)
    save_model(classifier, folder, folder.classifier)
    logits, features = predict(classifier, data)
    validation = predict_validation(classifier, data)
    keep_predictions(folder, data, logits, features, validation)
    write_calibration(folder, settings, data, logits, validation)
    evaluated = [row for row in rows_of_best(folder, rows) if deciding(row) is not None]
    best = max(evaluated, key=lambda row: deciding(row) or 0.0, default=rows[-1])
    best_logits, _ = predict(load_model(folder, folder.best).classifier(normalised=True), data)
    drops, reweight_epoch = settings.milestones()
    before = [folder.path / "pretraining", *folder.path.glob("teachers/*"), *folder.path.glob("teachers/*/pretraining")]
    all_rows = [*rows, *(row for path in before for row in RunFolder(path).read_history())]
    result = RunResult(
        last_epoch=Scores(int(rows[-1]["epoch"]), **evaluate_logits(data.test_labels, logits, data.class_counts)),
        best_epoch=Scores(
            int(best["epoch"]),
            note=how_chosen(folder, validation is not None),
            **evaluate_logits(data.test_labels, best_logits, data.class_counts),
        ),
        method=settings.method,
        settings=settings.to_json(),
        full_length=len(rows) >= settings.planned_epochs and not settings.quick,
        milestones={"learning_rate_drops": list(drops), "reweighting": reweight_epoch},
        data={
            "name": data.name,
            "class_names": list(data.class_names),
            "class_counts": data.class_counts,
            "subset_sha256": data.subset_hash,
        },
        wall_time_seconds=round(sum(float(row["seconds"]) for row in all_rows), 1),
        versions={
            "keras_gssl": __version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
        },
        precision=precision_of(model.backbone),
        hardware=hardware(),
    )
    with folder.manifest.replacing(folder.metrics) as partial:
        write_result(partial, result)
    return result


def how_chosen(folder: RunFolder, validated: bool) -> str:
    """How the best epoch was found."""
    after = folder.best_lost_after()
    of_what = f", of the epochs after {after}, as the model of an earlier one was lost" if after else ""
    if validated:
        return f"chosen on the validation images, by balanced accuracy{of_what}"
    return f"chosen on the test set, as in the paper{of_what}: optimistic"


def predict(
    classifier: keras.Model, data: ImageData, batches: EvaluationSet | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of all images, by default those for testing, shape `(count, classes)`, and what the last layer gets,
    shape `(count, features)`."""
    both = keras.Model(classifier.input, [classifier.output, classifier.get_layer("logits").input])
    # Traced here: a process that evaluates many networks is else warned of functions that are traced again and again.
    step = tf.function(lambda images: both(images, training=False)).get_concrete_function(
        tf.TensorSpec((None, *data.image_shape), tf.float32)
    )
    logits, features = zip(*(step(images) for images, _ in batches or data.test()), strict=True)
    return np.concatenate(logits), np.concatenate(features)


def predict_validation(classifier: keras.Model, data: ImageData) -> np.ndarray | None:
    """Logits of the validation images; None where there are none."""
    batches = data.validation()
    return None if batches is None else predict(classifier, data, batches)[0]


def keep_predictions(
    folder: RunFolder, data: ImageData, logits: np.ndarray, features: np.ndarray, validation: np.ndarray | None
) -> None:
    """Write what the report and the explanations need of the test set, so that they do not need the data set."""
    confidence = softmax(logits, axis=1).max(axis=1)
    wrong = np.flatnonzero(logits.argmax(axis=1) != data.test_labels)
    mistakes = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES_KEPT]
    of_validation: dict[str, Any] = {}
    if validation is not None:
        of_validation = {"validation_labels": data.validation_labels, "validation_logits": validation.astype("float32")}
    with folder.manifest.replacing(folder.predictions) as partial:
        np.savez_compressed(
            partial,
            **of_validation,
            labels=data.test_labels,
            logits=logits.astype("float32"),
            features=features.astype("float16"),
            mistakes=mistakes,
            mistake_images=np.asarray(data.test_images[mistakes]),
        )


def write_calibration(
    folder: RunFolder, settings: TrainingSettings, data: ImageData, logits: np.ndarray, validation: np.ndarray | None
) -> None:
    """What the exports need to give probabilities: the class mix of the logits, and the temperature."""
    found: dict[str, Any] = {"trained_mix": trained_mix(settings, data.class_counts)}
    if validation is not None and data.validation_labels is not None:
        temperature = fit_temperature(data.validation_labels, validation)
        errors = (
            expected_calibration_error(data.test_labels, softmax(each.astype("float64"), axis=1))
            for each in (logits, logits / temperature)
        )
        found |= {
            "temperature": temperature,
            "validation_images": len(data.validation_labels),
            "test_calibration_error": dict(zip(("before", "after"), errors, strict=True)),
        }
    with folder.manifest.replacing(folder.calibration) as partial:
        write_json(partial, found)


def hardware() -> str:
    """The devices TensorFlow computes on, as text."""
    gpus = [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return ", ".join([*gpus, f"{counted(len(usable_cores()), 'CPU core')} ({model})"])
