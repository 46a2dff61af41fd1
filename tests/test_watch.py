"""Watching a run: where it is, the page before, within and after it, and the server."""

import csv
import json
import threading
import urllib.error
import urllib.request

import pytest

from keras_gssl.errors import UserError
from keras_gssl.runs.folder import RunFolder
from keras_gssl.watch import main, serve, watch_page, where_it_is


@pytest.fixture
def run(tmp_path):
    """What a run of ten epochs has left after three."""
    folder = RunFolder(tmp_path / "run")
    folder.make()
    folder.settings.write_text(json.dumps({"epochs": 10}))
    folder.data.write_text(json.dumps({"validation_images": 5}))
    return folder


def history(folder, epochs):
    columns = ["epoch", "loss", "accuracy", "few", "val_accuracy", "val_few", "gate_flip", "flip_accuracy", "seconds"]
    with folder.history.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows([epoch, 1 / (epoch + 1), 0.5, 0.25, 0.625, 0.125, 0.9, 0.5, 120] for epoch in range(epochs))


def test_where_it_is(run, capsys):
    assert "in its first epoch" in where_it_is(run)
    history(run, 3)
    assert main([str(run.path), "--once"]) == 0
    assert "3 of 10 epochs, accuracy 62.5 %, on rare classes 12.5 %, about 14 min left." in capsys.readouterr().out
    run.metrics.write_text("{}")
    assert "finished after 3 epochs" in where_it_is(run)


def test_a_teacher_that_is_trained_first_is_shown(run):
    for number, epochs in (("2", 10), ("10", 3)):
        teacher = RunFolder(run.path / "teachers" / number)
        teacher.make()
        teacher.settings.write_text(json.dumps({"epochs": 10}))
        history(teacher, epochs)
    assert where_it_is(run).startswith(f"A teacher first. {run.path / 'teachers' / '10'}: 3 of 10 epochs")
    assert "Gate weights" in watch_page(run)
    history(run, 1)
    assert where_it_is(run).startswith(f"{run.path}: 1 of 10 epochs")


def test_the_page_draws_what_there_is_and_itself_anew(run):
    assert "The curves begin after the first epoch" in watch_page(run) and "http-equiv" in watch_page(run)
    history(run, 3)
    page = watch_page(run)
    for part in ("Accuracy on rare classes", "Gate weights", "Pretext tasks", "validation", 'content="10"'):
        assert part in page
    run.metrics.write_text("{}")
    run.report.write_text("<p>the report</p>")
    assert "http-equiv" not in watch_page(run) and 'href="/report.html"' in watch_page(run)


def test_the_server_gives_the_page_and_the_report_and_nothing_else(run):
    history(run, 1)
    server = serve(run)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with urllib.request.urlopen(f"{address}/") as answer:
            assert "1 of 10 epochs" in answer.read().decode()
        for path in ("/report.html", "/settings.json", "/../run/settings.json"):
            with pytest.raises(urllib.error.HTTPError, match="404") as caught:
                urllib.request.urlopen(address + path)
            caught.value.close()
        run.report.write_text("<p>the report</p>")
        with urllib.request.urlopen(f"{address}/report.html") as answer:
            assert answer.read() == b"<p>the report</p>"
    finally:
        server.shutdown()
        server.server_close()


def test_what_cannot_be_watched_is_named(run, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "is not the folder of a run: it has no settings.json" in capsys.readouterr().err
    server = serve(run)
    try:
        assert main([str(run.path), "--port", str(server.server_address[1])]) == 2
        assert "Cannot open port" in capsys.readouterr().err
    finally:
        server.server_close()
    assert main([str(run.path), "--port", "70000"]) == 2
    assert issubclass(UserError, ValueError)
