"""Watch a run while it trains: a page on this machine that draws itself anew.

    python -m keras_gssl.watch runs/image_folder              # prints the address; stop with Ctrl-C
    python -m keras_gssl.watch runs/image_folder --once       # one line: where it is

TensorBoard shows the same figures and more: `tensorboard --logdir runs/image_folder/tensorboard`.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from keras_gssl.arguments import Parser
from keras_gssl.errors import UserError, as_command
from keras_gssl.report.charts import curves, svg
from keras_gssl.report.page import page, section
from keras_gssl.report.run_data import history_of, series_in
from keras_gssl.runs.durations import duration
from keras_gssl.runs.folder import RunFolder
from keras_gssl.runs.settings import QUICK_EPOCHS

REFRESH_SECONDS = 10
RECENT = 5  # epochs that the time left is reckoned from


def main(argv: Sequence[str] | None = None, prog: str = "python -m keras_gssl.watch") -> int:
    """Returns the exit code."""
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("run", metavar="RUN", help="the folder of a run, finished or not")
    parser.add_argument("--port", type=int, default=0, help="of the address (default: a free one)")
    parser.add_argument("--once", action="store_true", help="print where the run is, and end")
    arguments = parser.parse_args(argv)
    return as_command(lambda: _watch(RunFolder(arguments.run), arguments.port, arguments.once))


def _watch(folder: RunFolder, port: int, once: bool) -> None:
    if not folder.settings.exists():
        raise UserError(f"{folder.path} is not the folder of a run: it has no settings.json.")
    if once:
        print(where_it_is(folder))
        return
    try:
        server = serve(folder, port)
    except (OSError, OverflowError) as error:
        raise UserError(f"Cannot open port {port} ({error}): choose another one, or 0 for a free one.") from error
    print(f"http://127.0.0.1:{server.server_address[1]}/  (Ctrl-C ends it; the run goes on)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
    finally:
        server.server_close()


def serve(folder: RunFolder, port: int = 0) -> ThreadingHTTPServer:
    """A server of the run's page for this machine alone; call its `serve_forever`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self._send(watch_page(folder))
            elif self.path == "/report.html" and folder.report.exists():
                self._send(folder.report.read_text(encoding="utf-8"))
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _send(self, content: str) -> None:
            body = content.encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the terminal is the user's."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def where_it_is(folder: RunFolder) -> str:
    """Epoch, accuracy and time left, as a line."""
    settings, history = folder.read_json(folder.settings), history_of(folder)
    done, epochs = len(history.get("epoch", ())), settings["epochs"]
    if settings.get("quick"):
        epochs = min(epochs, QUICK_EPOCHS)
    if folder.metrics.exists():
        return f"{folder.path}: finished after {done} epochs."
    if not done:
        now = being_trained(folder)
        return f"{folder.path}: in its first epoch." if now is folder else f"A teacher first. {where_it_is(now)}"
    told = f"{folder.path}: {done} of {epochs} epochs"
    accuracy = _last(history, "val_accuracy")
    if accuracy is not None:
        told += f", accuracy {100 * accuracy:.1f} %"
    rare = _last(history, "val_few")
    if rare is not None:
        told += f", on rare classes {100 * rare:.1f} %"
    return f"{told}, about {duration(_seconds_left(history, epochs))} left."


def being_trained(folder: RunFolder) -> RunFolder:
    """The folder itself, or the newest of the teachers that the run trains first."""
    teachers = [path.parent for path in folder.path.glob("teachers/*/settings.json")]
    if not teachers or len(history_of(folder).get("epoch", ())):
        return folder
    return RunFolder(max(teachers, key=lambda path: int(path.name)))


def watch_page(folder: RunFolder) -> str:
    """The page as it is now."""
    history = history_of(being_trained(folder))
    chosen_on = "validation" if folder.read_json(folder.data).get("validation_images") else "test"
    sections = []
    for title, label, factor, columns in (
        ("Accuracy", "accuracy, %", 100, {"training": "accuracy", chosen_on: "val_accuracy"}),
        ("Accuracy on rare classes", "accuracy, %", 100, {"training": "few", chosen_on: "val_few"}),
        ("Loss", "loss", 1, {"total": "loss", "class": "class_loss", chosen_on: "val_loss"}),
        ("Gate weights", "mean weight", 1, _of_tasks(history, "gate_{}")),
        ("Pretext tasks", "accuracy, %", 100, _of_tasks(history, "{}_accuracy")),
        ("Learning rate", "learning rate", 1, {"learning rate": "learning_rate"}),
    ):
        found = {name: series_in(history, column) for name, column in columns.items()}
        series = {name: (epochs, factor * values) for name, (epochs, values) in found.items() if len(epochs)}
        if series:
            sections.append(section(title, svg(f"{title} over epochs", curves(series, label))))
    lead = f"<p><strong>{html.escape(where_it_is(folder))}</strong></p>"
    if folder.report.exists():
        lead += '<p><a href="/report.html">The report</a></p>'
    elif not sections:
        lead += "<p>The curves begin after the first epoch.</p>"
    content = page(f"{folder.path.resolve().name}", lead, sections)
    if folder.metrics.exists():
        return content
    return content.replace("<title>", f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n<title>', 1)


def _of_tasks(history: dict[str, np.ndarray], pattern: str) -> dict[str, str]:
    tasks = [name.removeprefix("gate_") for name in history if name.startswith("gate_")]
    return {task: pattern.format(task) for task in tasks}


def _last(history: dict[str, np.ndarray], column: str) -> float | None:
    _, values = series_in(history, column)
    return float(values[-1]) if len(values) else None


def _seconds_left(history: dict[str, np.ndarray], epochs: int) -> float:
    return float(np.median(history["seconds"][-RECENT:])) * (epochs - len(history["seconds"]))


if __name__ == "__main__":
    sys.exit(main())
