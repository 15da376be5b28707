"""Schedules in a real Prefect: an interval in minutes, a use case's own cron line, or config.json's interval."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import requests

from scorehouse.prefect import Prefect
from tests.processes import until
from tests.toy import ROOT

RUN = "model_tuning_and_uploading/model_tuning_and_uploading"
BATCH = "score_batch/score_batch"


@pytest.fixture
def prefect(training_environ: dict[str, str]) -> dict[str, str]:
    address = training_environ["PREFECT_API_URL"]
    made = requests.post(f"{address}/work_pools/", json={"name": "scorehouse", "type": "process"}, timeout=30)
    assert made.status_code in {201, 409}, made.text
    return training_environ


def apply(environ: dict[str, str], **more: str) -> str:
    command = [sys.executable, "-m", "model_orchestration.apply"]
    given = {**os.environ, **environ, **more}
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout


def deployment(environ: dict[str, str], name: str) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(
        f"{environ['PREFECT_API_URL']}/deployments/name/{name}", timeout=30
    ).json()  # fmt: skip
    return found


def schedules(environ: dict[str, str], name: str) -> list[dict[str, Any]]:
    return [known["schedule"] for known in deployment(environ, name)["schedules"]]


def test_claims_is_trained_monthly_and_scored_nightly_in_london_and_churn_by_the_minute(
    prefect: dict[str, str],
) -> None:
    said = apply(prefect, USE_CASE="claims")
    assert "score_batch/score_batch runs on cron schedule '0 1 * * *' (Europe/London)" in said
    ((monthly,), (nightly,)) = (schedules(prefect, name) for name in (RUN, BATCH))
    assert (monthly["cron"], monthly["timezone"]) == ("0 6 2 * *", "Europe/London")
    assert (nightly["cron"], nightly["timezone"]) == ("0 1 * * *", "Europe/London")

    said = apply(prefect, USE_CASE="churn", TRAINING_INTERVAL_MINUTES="45")
    assert said.splitlines()[-1].startswith(f"{RUN} runs every 45 minutes")
    (every,) = schedules(prefect, RUN)
    assert every["interval"] == 45 * 60
    assert schedules(prefect, BATCH) == []


def test_a_retraining_cycle_changes_the_schedule_of_the_deployment_that_runs(
    prefect: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(prefect, USE_CASE="churn", TRAINING_INTERVAL_MINUTES="45")
    program = "from model_orchestration.schedule import reschedule; reschedule({})"
    own = {**os.environ, **prefect, "PREFECT__RUNTIME__DEPLOYMENT__ID": deployment(prefect, RUN)["id"]}
    for seconds, interval in (("3600", 3600), ("None", 3600)):
        subprocess.run([sys.executable, "-c", program.format(seconds)], cwd=ROOT, env=own, timeout=60, check=True)
        (every,) = schedules(prefect, RUN)
        assert every["interval"] == interval


def flow_run(environ: dict[str, str], state: str) -> str:
    """Start a flow run, put it into a state of Prefect's by its type and name, and return its id."""
    api = environ["PREFECT_API_URL"]
    started = Prefect(api, timeout=30).start(RUN, "test", "a test starts it")
    kind, _, called = state.partition(" ")
    body = {"state": {"type": kind, "name": called or None}, "force": kind != "PENDING"}
    requests.post(f"{api}/flow_runs/{started}/set_state", json=body, timeout=30).raise_for_status()
    return str(started)


def state_of(environ: dict[str, str], run: str) -> str:
    answer = requests.get(f"{environ['PREFECT_API_URL']}/flow_runs/{run}", timeout=30).json()
    return str(answer["state"]["name"])


def test_a_second_training_waits_until_the_first_has_ended(prefect: dict[str, str]) -> None:
    apply(prefect, USE_CASE="churn")
    found = deployment(prefect, RUN)
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    first = flow_run(prefect, "PENDING")
    second = flow_run(prefect, "PENDING")
    assert (state_of(prefect, first), state_of(prefect, second)) == ("Pending", "AwaitingConcurrencySlot")
    for state in ("RUNNING", "COMPLETED"):
        body = {"state": {"type": state}}
        requests.post(
            f"{prefect['PREFECT_API_URL']}/flow_runs/{first}/set_state", json=body, timeout=30
        ).raise_for_status()
    third = flow_run(prefect, "PENDING")
    assert state_of(prefect, third) == "Pending"
    requests.delete(f"{prefect['PREFECT_API_URL']}/flow_runs/{third}", timeout=30).raise_for_status()


def test_a_training_that_starts_stands_in_for_the_scheduled_ones_that_waited(prefect: dict[str, str]) -> None:
    apply(prefect, USE_CASE="churn", TRAINING_INTERVAL_MINUTES="45")
    id_ = deployment(prefect, RUN)["id"]
    asked = flow_run(prefect, "SCHEDULED AwaitingConcurrencySlot")
    scheduled: list[str] = []

    def some_scheduled() -> bool:
        """Prefect's server plans the runs of a schedule every few seconds."""
        wanted = {"deployments": {"id": {"any_": [id_]}}, "flow_runs": {"state": {"name": {"any_": ["Scheduled"]}}}}
        found = requests.post(f"{prefect['PREFECT_API_URL']}/flow_runs/filter", json=wanted, timeout=30).json()
        scheduled[:] = [run["id"] for run in found if run["auto_scheduled"]]
        return len(scheduled) >= 2

    until(some_scheduled, 90, "two runs of the schedule are planned")
    late, planned, *_ = scheduled
    body = {"state": {"type": "SCHEDULED", "name": "AwaitingConcurrencySlot"}, "force": True}
    requests.post(f"{prefect['PREFECT_API_URL']}/flow_runs/{late}/set_state", json=body, timeout=30).raise_for_status()
    program = "from model_orchestration.schedule import cancel_waiting; print(cancel_waiting())"
    own = {**os.environ, **prefect, "PREFECT__RUNTIME__DEPLOYMENT__ID": id_}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split()[-1] == "1"
    states = [state_of(prefect, run) for run in (late, planned, asked)]
    assert states == ["Cancelled", "Scheduled", "AwaitingConcurrencySlot"]
