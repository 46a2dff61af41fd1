"""Runs spread over a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_gssl.errors import UserError
from keras_gssl.extras import extra
from keras_gssl.recipes.catalogue import RECIPES
from keras_gssl.recipes.tables.grid import Run
from keras_gssl.recipes.tables.outcome import RETRIES, Outcome, arguments, finished, log_file
from keras_gssl.sharing import RUNS_AT_ONCE

PASSED_ON = ("TFDS_DATA_DIR", "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "KERAS_HOME", RUNS_AT_ONCE)


def run_on_ray(
    runs: Sequence[Run], folders: Path, address: str, cpus_per_run: float, gpus_per_run: float
) -> Iterator[Outcome]:
    """The runs as tasks of a Ray cluster; those whose worker dies are resumed on another one.

    Args:
        runs: Runs.
        folders: Where run folders are made; on a cluster of several machines a folder that all of them share.
        address: Of the cluster; `"auto"` finds a running one, or starts a local one if there is none.
        cpus_per_run, gpus_per_run: What one run takes; 0.25 GPUs lets four runs share one.
    """
    with extra("sweep", "--ray needs the package"):
        import ray
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    with _connected(ray, address, environment):
        if ray.cluster_resources().get("GPU") and not gpus_per_run:
            raise UserError(
                "The Ray cluster has GPUs: say how much of one a run takes, for example --gpus-per-run 0.25."
            )
        # max_calls=1: a fresh process per run, as with run_here. max_retries counts died workers, not errors.
        task = ray.remote(max_calls=1, max_retries=RETRIES, num_cpus=cpus_per_run, num_gpus=gpus_per_run)(
            _run_in_worker
        )
        pending = {
            task.remote(run.recipe, run, str((folders / run.name).resolve()), max(1, int(cpus_per_run))): run
            for run in runs
        }
        while pending:
            (reference,), _ = ray.wait(list(pending), num_returns=1)
            run = pending.pop(reference)
            folder = folders / run.name
            try:
                ray.get(reference)
                yield finished(run, folder) or Outcome(run, folder, failure="it ended without metrics")
            except ray.exceptions.RayError as error:
                reason = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
                yield Outcome(run, folder, failure=reason)


def _run_in_worker(recipe: str, run: Run, folder: str, threads: int) -> None:
    from keras_gssl.backend import tf

    if not tf.config.list_physical_devices("GPU"):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    path = Path(folder)
    if finished(run, path):
        return
    log_file(path).parent.mkdir(parents=True, exist_ok=True)
    main: Callable[[Sequence[str] | None], Any] = RECIPES[recipe].main
    with log_file(path).open("a", buffering=1, encoding="utf-8") as log, contextlib.redirect_stdout(log):
        main(arguments(run, path))


@contextlib.contextmanager
def _connected(ray: Any, address: str, environment: dict[str, str]) -> Iterator[None]:
    options = {"runtime_env": {"env_vars": environment}, "log_to_driver": False, "logging_level": "ERROR"}
    already = ray.is_initialized()
    if not already:
        try:
            ray.init(address=address, **options)
        except ConnectionError as error:
            if address != "auto":
                raise UserError(f"Cannot reach a Ray cluster at {address}: {error}") from error
            ray.init(**options)
    try:
        yield
    finally:
        if not already:
            ray.shutdown()
