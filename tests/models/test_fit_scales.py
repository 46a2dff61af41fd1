"""Pixels on another scale than the model takes: a line that says so, whatever they come in."""

import keras
import numpy as np
import pytest

import keras_gssl as gssl
from tests.models.fitting import NORMALISE, Batches, as_dataset, make
from tests.networks import small_backbone

MISTAKES = {
    "values 0-1 where 0-255 are expected": (lambda x, y: (x / 255, y), {}, "multiply the images by 255"),
    "values 0-255 where 0-1 are expected": (
        lambda x, y: (x, y),
        {"preprocessing": gssl.PixelNormalization(0.5, 0.25, scale=1)},
        "divide the images by 255",
    ),
    "normalised where pixels are expected": (lambda x, y: (NORMALISE(x).numpy(), y), {}, "normalises them itself"),
    "pixels where normalised are expected": (lambda x, y: (x, y), {"preprocessing": None}, "look like pixels"),
}


@pytest.mark.parametrize("kind", ["arrays", "dataset", "PyDataset", "generator"])
@pytest.mark.parametrize("name", MISTAKES)
def test_images_on_another_scale_are_refused_whatever_they_come_in(name, kind, pixels):
    change, how, message = MISTAKES[name]
    images, labels = change(*pixels)
    kinds = {
        "arrays": lambda: (images, labels),
        "dataset": lambda: (as_dataset(images, labels),),
        "PyDataset": lambda: (Batches(images, labels),),
        "generator": lambda: (((images[:10], labels[:10]) for _ in range(4)),),
    }
    with pytest.raises(ValueError, match=message) as caught:
        make(**how).fit(*kinds[kind](), epochs=1, verbose=0)
    assert len(str(caught.value).splitlines()) == 1


def test_predict_and_evaluate_refuse_them_too(pixels):
    images, labels = pixels
    with pytest.raises(ValueError, match="look like pixels"):
        make(preprocessing=None).predict(images, verbose=0)
    with pytest.raises(ValueError, match="multiply the images"):
        make().evaluate(images / 255, labels, verbose=0)
    with pytest.raises(ValueError, match="multiply the images"):
        make().fit(images, labels, validation_data=(images / 255, labels), verbose=0)
    with pytest.raises(ValueError, match="received 'cat'"):
        make().fit(images, np.array(["cat"] * 40), verbose=0)
    with pytest.raises(ValueError, match="received strings"):
        make().fit(as_dataset(images, np.array(["cat"] * 40)), verbose=0)


def test_a_backbone_that_scales_by_itself_takes_pixels(pixels):
    backbone = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), small_backbone()])
    model = make(backbone=backbone, preprocessing=None)
    assert np.isfinite(model.fit(*pixels, verbose=0).history["loss"]).all()
    flat = model.classifier(logit_scale=1.0)
    assert [type(layer).__name__ for layer in flat.layers][1:3] == ["Rescaling", "Conv2D"], "unfolded"
    np.testing.assert_allclose(
        flat.predict(pixels[0], verbose=0), model.predict(pixels[0], verbose=0), rtol=1e-4, atol=1e-5
    )


def test_pixels_that_overshoot_a_little_are_pixels(pixels):
    images, labels = pixels
    bicubic = images.astype("float32") + np.linspace(-12, 6, 40)[:, None, None, None].astype("float32")
    make().fit(bicubic, labels, verbose=0)
    assert make().predict(np.ones((4, 16, 16, 3), "uint8"), verbose=0).shape == (4, 3), "dark, not on the scale 0-1"


def test_altered_pixels_that_were_not_normalised_are_refused(pixels):
    altered = gssl.data.with_pretext(as_dataset(*pixels), [gssl.Flip(), gssl.LoRotE()])
    with pytest.raises(ValueError, match="look like pixels"):
        make().fit(altered, verbose=0)
