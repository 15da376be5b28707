"""Schedules in a real Prefect: an interval in minutes, a use case's own cron line, or config.json's interval."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import requests

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
