"""One training at a time in an experiment: each beats while it lives, and the next one ends what is dead.

The runs in MLflow are the lock, because they are the one thing that all trainings share, wherever they were started.
A training first creates its parent run and then looks for others, so of two at least one sees the other. Whether the
other lives is judged by whether its beat changes while one watches: clocks of different machines are not compared.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from scorehouse.errors import AlreadyRunning

log = logging.getLogger(__name__)
TAG = "heartbeat"  # of a parent run: the count of its beats
PARENT = "mlflow.parentRunId"
BEAT_SECONDS = 10.0
LOOK_SECONDS = 5.0
LOOKS = 9  # without a new beat in 45 seconds: the process is dead


class Heartbeat:
    """Beats for a run in a thread, until it is stopped."""

    def __init__(self, client: MlflowClient, run_id: str, seconds: float = BEAT_SECONDS):
        """Beat for the first time at once: from then on others can see that the run lives."""
        self._client = client
        self._run_id = run_id
        self._seconds = seconds
        self._beats = 0
        self._stopped = Event()
        self._thread = Thread(target=self._follow, name="heartbeat", daemon=True)
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._beat()
            except MlflowException as error:  # the next beat may get through
                log.warning("MLflow could not take the training's heartbeat: %s", error)

    def _beat(self) -> None:
        self._beats += 1
        self._client.set_tag(self._run_id, TAG, str(self._beats))


def end_dead_trainings(
    client: MlflowClient, experiment: str, own: str, sleep: Callable[[float], object] = time.sleep
) -> int:
    """End what other trainings of `experiment` (an id) left unfinished when they died: as FAILED. Return how many runs.

    Raises:
        AlreadyRunning: another training lives. Nothing was changed.
    """
    beats = _beats(_unfinished(client, experiment, own))
    if not beats:
        return 0
    log.warning("%d trainings are unfinished: watching for %.0f s if one lives", len(beats), LOOKS * LOOK_SECONDS)
    for _ in range(LOOKS):
        sleep(LOOK_SECONDS)
        runs = _unfinished(client, experiment, own)
        for parent, beat in _beats(runs).items():
            if beats.get(parent) != beat:
                raise AlreadyRunning(
                    f"another training is running (run {parent}), and only one may run at a time: wait until it has "
                    "ended, then train again"
                )
    for run in runs:
        client.set_terminated(run.info.run_id, "FAILED")
    log.warning("ended %d runs as FAILED, because the trainings that started them are dead", len(runs))
    return len(runs)


def _beats(runs: list[Run]) -> dict[str, str]:
    """Return the last beat of each unfinished training; none for a trial whose parent has ended."""
    return dict.fromkeys(map(_parent, runs), "") | {
        run.info.run_id: run.data.tags.get(TAG, "") for run in runs if PARENT not in run.data.tags
    }


def _unfinished(client: MlflowClient, experiment: str, own: str) -> list[Run]:
    """Return the running runs of other trainings than `own`, a parent run."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=1000, page_token=token)
        runs += [run for run in page if _parent(run) != own]
        token = page.token
        if not token:
            return runs


def _parent(run: Run) -> str:
    """Return the parent run of a training, also for the parent itself."""
    return str(run.data.tags.get(PARENT, run.info.run_id))
