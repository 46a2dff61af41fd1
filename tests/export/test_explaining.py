"""Pictures of what a classifier looks at."""

import pytest
from PIL import Image

from keras_gssl import explain
from keras_gssl.errors import UserError
from keras_gssl.export.deployable import load_deployable
from keras_gssl.report import explanations


def test_explanations(run, photos, tmp_path, capsys):
    picture = next(photos.glob("*/*.png"))
    arguments = [str(run.path), "--embeddings", str(picture), "-o", str(tmp_path), "sample:1", "--methods", "Grad-CAM"]
    assert explain.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"true {picture.parent.name}" in printed
    for name in (f"{picture.stem}-explained.png", "sample_1-explained.png", "embeddings.png"):
        with Image.open(tmp_path / name) as drawn:
            assert drawn.width > 500
    capsys.readouterr()
    mistakes = {"sample:99": "sample:0 to sample:15", "no.png": "Cannot read", "": "Name pictures"}
    for wrong, message in mistakes.items():
        assert explain.main([str(run.path), *filter(None, [wrong])]) == 2
        assert message in capsys.readouterr().err


def test_heat_maps_point_at_what_counts(run):
    model = load_deployable(run.path)
    maps = explanations.heat_maps(model, model.samples[0])
    assert tuple(maps) == explanations.EXPLANATIONS
    for heat in maps.values():
        assert heat.shape == (32, 32) and heat.min() >= 0 and heat.max() <= 1 and heat.std() > 0.01
    with pytest.raises(UserError, match="received 'magic'"):
        explanations.heat_maps(model, model.samples[0], ["magic"])
