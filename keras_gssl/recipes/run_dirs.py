"""Which folder a recipe's run is kept in."""

from __future__ import annotations

from pathlib import Path

from keras_gssl.errors import UserError
from keras_gssl.runs.folder import RunFolder


def choose_folder(name: str, run_dir: str | None, resume: bool) -> RunFolder:
    """The folder asked for; by default `runs/NAME`, or the next free `runs/NAME-2`, ... (the newest to resume)."""
    if run_dir:
        folder = RunFolder(run_dir)
        if resume and not folder.settings.exists():
            raise UserError(
                f"Nothing to resume in {run_dir}: it has no settings.json. Leave --resume out to start there."
            )
        if not resume and folder.settings.exists():
            raise UserError(
                f"{run_dir} already holds a run. Add --resume to go on with it, or choose another --run-dir."
            )
        return folder
    number, path = 1, Path("runs") / name
    taken = []
    while (path / "settings.json").exists():
        taken.append(path)
        number += 1
        path = Path("runs") / f"{name}-{number}"
    if resume:
        if not taken:
            raise UserError(f"Nothing to resume: there is no runs/{name}. Name the folder with --run-dir.")
        return RunFolder(taken[-1])
    return RunFolder(path)
