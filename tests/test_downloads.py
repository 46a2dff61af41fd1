"""Downloads wait for each other, and fail in one line."""

import os
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from keras_gssl.data import sources
from keras_gssl.downloads import fetching, one_at_a_time
from keras_gssl.errors import UserError
from tests.made_up_cifar import prepare


@pytest.fixture(autouse=True)
def lock_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_no_error_hides_behind_the_download():
    with pytest.raises(UserError, match="as it is"), fetching("This", "Do that."):
        raise UserError("as it is")
    with (
        pytest.raises(UserError, match=r"This cannot be fetched \(ValueError\). Do that."),
        fetching("This", "Do that."),
    ):
        raise ValueError


def test_a_second_one_waits_for_the_first_and_says_so(capsys):
    order, begun = [], threading.Event()

    def first():
        with one_at_a_time():
            begun.set()
            time.sleep(0.2)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    with one_at_a_time():
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert capsys.readouterr().out == "Another process is downloading: waiting for it.\n"
    with pytest.raises(KeyError), one_at_a_time():
        raise KeyError
    with one_at_a_time():  # an error has let go of it
        assert capsys.readouterr().out == ""


def test_a_process_that_dies_lets_the_next_one_in(tmp_path, capsys):
    code = "from keras_gssl.downloads import *; c = one_at_a_time(); c.__enter__(); print('in', flush=True); input()"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "in\n"
        threading.Timer(0.2, process.kill).start()
        with one_at_a_time():
            assert capsys.readouterr().out.startswith("Another process")
        assert process.wait() < 0


def test_what_another_process_has_brought_meanwhile_is_not_downloaded_again(tmp_path, monkeypatch):
    """It was not there when it was looked for first, and is when it is this process' turn."""
    turn = sources.one_at_a_time

    def when_another_is_done():
        prepare("cifar10", {"train": [3, 1], "test": [2]}, tmp_path / "tfds", monkeypatch)
        return turn()

    monkeypatch.setattr(sources, "one_at_a_time", when_another_is_done)
    monkeypatch.setattr(sources, "_check_download", lambda *_: pytest.fail("it was about to be downloaded"))
    (_, labels), (_, test_labels), _ = sources._load_tfds("cifar10", str(tmp_path / "tfds"))
    assert labels.tolist() == [3, 1] and test_labels.tolist() == [2]
