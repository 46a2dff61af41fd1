"""Small tables of experiments as files."""

import pytest

from tests.pictures import make_folder
from tests.recipes.small_tables import OF_PICTURES, SMALL


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def of_pictures(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(OF_PICTURES.format(make_folder(tmp_path / "photos")))
    return path
