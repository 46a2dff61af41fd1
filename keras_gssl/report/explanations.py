"""What a trained classifier looks at: Grad-CAM, Grad-CAM++, Score-CAM and saliency, and a map of its test features."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_gssl.backend import keras
from keras_gssl.choices import EXPLANATIONS
from keras_gssl.class_groups import FEW_BELOW
from keras_gssl.data.pictures.decode import PictureError, read_picture
from keras_gssl.errors import UserError
from keras_gssl.export.deployable import Deployable
from keras_gssl.extras import extra
from keras_gssl.randomness import seeded
from keras_gssl.report.fonts import drawable, fonts_for
from keras_gssl.runs.data_description import read_description
from keras_gssl.runs.folder import RunFolder

MAX_EMBEDDED = 2000
SCORE_CAM_CHANNELS = 32  # of the last layer's maps, those that vary most


def heat_maps(
    model: Deployable, image: np.ndarray, methods: Sequence[str] = EXPLANATIONS, class_index: int | None = None
) -> dict[str, np.ndarray]:
    """Where the classifier finds evidence for a class, by several methods.

    Args:
        model: The classifier with its normalisation.
        image: uint8, shape `(height, width, 3)`.
        methods: Some of `"Grad-CAM"`, `"Grad-CAM++"`, `"Score-CAM"`, `"saliency"`.
        class_index: The class; None for the predicted one.

    Returns:
        For each method a map of the image's height and width, values from 0 to 1.

    Raises:
        UserError: tf-keras-vis is not installed.

    Reference:
        Grad-CAM (ICCV 2017), Grad-CAM++ (WACV 2018), Score-CAM (CVPR workshops 2020), saliency (arXiv 1312.6034, with
        the noise of SmoothGrad, arXiv 1706.03825), as tf-keras-vis computes them.
    """
    with extra("explain", "Explanations need"):
        from tf_keras_vis.gradcam import Gradcam
        from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
        from tf_keras_vis.saliency import Saliency
        from tf_keras_vis.scorecam import Scorecam
        from tf_keras_vis.utils.scores import CategoricalScore
    unknown = [method for method in methods if method not in EXPLANATIONS]
    if unknown:
        raise UserError(f"methods must be among {', '.join(EXPLANATIONS)}; received {unknown[0]!r}.")
    pixels = model.normalised(image[np.newaxis])
    if class_index is None:
        class_index = int(model.classifier(pixels, training=False).numpy().argmax())
    score, layer = CategoricalScore(class_index), last_maps(model.classifier)
    maps = model.classifier.get_layer(layer).output.shape[-1]
    makers: Mapping[str, Any] = {
        "Grad-CAM": lambda: Gradcam(model.classifier)(score, pixels, penultimate_layer=layer),
        "Grad-CAM++": lambda: GradcamPlusPlus(model.classifier)(score, pixels, penultimate_layer=layer),
        "Score-CAM": lambda: Scorecam(model.classifier)(
            score, pixels, penultimate_layer=layer, max_N=min(SCORE_CAM_CHANNELS, maps)
        ),
        "saliency": lambda: Saliency(model.classifier)(score, pixels, smooth_samples=20, smooth_noise=0.1),
    }
    with _quiet(), seeded(0):  # saliency adds noise
        return {method: np.asarray(makers[method]())[0] for method in methods}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars of single predictions, and without Keras' warning that tf-keras-vis names no inputs."""
    bars = keras.config.is_interactive_logging_enabled()
    keras.config.disable_interactive_logging()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The structure of `inputs`")
            yield
    finally:
        if bars:
            keras.config.enable_interactive_logging()


def last_maps(classifier: keras.Model) -> str:
    """Name of the last layer whose output still has height and width."""
    for layer in reversed(classifier.layers):
        if isinstance(layer, keras.layers.Layer) and len(getattr(layer.output, "shape", ())) == 4:
            return layer.name
    raise UserError("The classifier has no layer with height and width, so there is no place to point at.")


def draw_explanation(
    image: np.ndarray, maps: Mapping[str, np.ndarray], predicted: str, true: str | None, path: Path
) -> Path:
    """The image beside its heat maps, with the predicted and, if it is known, the true class."""
    from matplotlib.figure import Figure

    predicted, true = drawable(predicted), None if true is None else drawable(true)
    with fonts_for([predicted, true or ""]):
        return _draw_explanation(Figure, image, maps, predicted, true, path)


def _draw_explanation(
    kind: Any, image: np.ndarray, maps: Mapping[str, np.ndarray], predicted: str, true: str | None, path: Path
) -> Path:
    figure = kind(figsize=(2.3 * (1 + len(maps)), 2.9), layout="constrained")
    panels = figure.subplots(1, 1 + len(maps))
    for panel, (title, heat) in zip(np.atleast_1d(panels), {"image": None, **maps}.items(), strict=True):
        panel.imshow(image, interpolation="nearest")
        if heat is not None:
            panel.imshow(heat, cmap="inferno", alpha=0.55, vmin=0, vmax=1, interpolation="bilinear")
        panel.set_title(title, fontsize=10)
        panel.set_axis_off()
    verdict = "" if true is None else f", true class {true}" + (" (right)" if true == predicted else " (wrong)")
    figure.suptitle(f"predicted {predicted}{verdict}", fontsize=11)
    figure.savefig(path, dpi=130)
    return path


def draw_embeddings(folder: RunFolder, path: Path) -> Path:
    """A t-SNE map of the run's test features, coloured by class; rare classes as large marks.

    Reference:
        "Visualizing Data using t-SNE" (JMLR 2008), as scikit-learn computes it.
    """
    from sklearn.manifold import TSNE

    if not folder.predictions.exists():
        raise UserError(f"{folder.path} has no predictions.npz: has the run finished?")
    stored = folder.read_arrays(folder.predictions, "labels", "features")
    labels, features = stored["labels"], stored["features"].astype("float32")
    about = read_description(folder)
    names, counts = [drawable(name) for name in about["class_names"]], about["class_counts"]
    if len(labels) > MAX_EMBEDDED:
        kept = np.random.default_rng(0).permutation(len(labels))[:MAX_EMBEDDED]
        labels, features = labels[kept], features[kept]
    features /= np.linalg.norm(features, axis=1, keepdims=True) + 1e-12  # cosine heads see directions alone
    if len(labels) < 4:
        raise UserError(f"A t-SNE map needs at least 4 test images, the run has {len(labels)}.")
    perplexity = min(30.0, (len(labels) - 1) / 2)
    places = TSNE(perplexity=perplexity, random_state=0, init="pca").fit_transform(features)
    with fonts_for(names):
        return _draw_places(places, labels, names, counts, path)


def _draw_places(
    places: np.ndarray, labels: np.ndarray, names: Sequence[str], counts: Sequence[int], path: Path
) -> Path:
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    panel = figure.subplots()
    rare = set(np.argsort(counts)[: max(1, len(counts) // 5)]) | set(np.flatnonzero(np.array(counts) < FEW_BELOW))
    colours = colormaps["tab20" if len(names) > 10 else "tab10"]
    for index in sorted(range(len(names)), key=lambda each: each in rare):
        here = labels == index
        style = {"marker": "X", "s": 55, "edgecolors": "black", "linewidths": 0.6} if index in rare else {"s": 12}
        title = f"{names[index]} ({counts[index]}{', rare' if index in rare else ''})"
        panel.scatter(*places[here].T, color=colours(index % colours.N), label=title, **style)
    panel.set_axis_off()
    panel.set_title(f"t-SNE of {len(labels)} test images; training images per class in brackets", fontsize=11)
    if len(names) <= 40:
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9, ncols=1 + len(names) // 21)
    figure.savefig(path, dpi=130)
    return path


def find_image(model: Deployable, folder: RunFolder, name: str) -> tuple[np.ndarray, str | None, str]:
    """The pixels of a picture file or of `sample:N`, its true class if that is known, and a name for what is drawn."""
    if name.startswith("sample:"):
        stored = folder.read_arrays(folder.samples, "images", "labels")
        images, labels = stored["images"], stored["labels"]
        number = name.removeprefix("sample:")
        if not number.isdigit() or int(number) >= len(images):
            raise UserError(f"{name}: the run keeps the test images sample:0 to sample:{len(images) - 1}.")
        return images[int(number)], model.class_names[labels[int(number)]], f"sample_{number}"
    path = Path(name)
    try:
        image = read_picture(path, model.classifier.input_shape[1], model.fit, model.depth_range)
    except PictureError as error:
        raise UserError(f"Cannot read the picture {name}: {error}.") from error
    parent = path.resolve().parent.name
    return image, parent if parent in model.class_names else None, path.stem
