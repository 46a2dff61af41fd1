"""A folder of drawn pictures for the tests of a file."""

import pytest

from tests.pictures import make_folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("own") / "photos")
