"""Which models the registry of the stack has, which one serves, and how an engineer changes that."""

from __future__ import annotations

import re

import requests

from tests.system.composed.project import ENV_FILE, HOST, make


def registered() -> list[str]:
    """Return the runs whose model is registered, the oldest first."""
    address = f"http://{HOST}:5051/api/2.0/mlflow/model-versions/search"
    versions = requests.get(address, params={"filter": "name='churn'"}, timeout=10).json()["model_versions"]
    return [v["run_id"] for v in sorted(versions, key=lambda v: int(v["version"])) if v["status"] == "READY"]


def serving() -> set[str | None]:
    """Return the runs by which the doors answer."""
    doors = [f"http://{HOST}:{port}/readyz" for port in (9696, 9697)]
    return {requests.get(door, timeout=5).json()["model_run_id"] for door in doors}


def change_run_id(run_id: str) -> float:
    """Do as an engineer does: write the run into the env file, `make start-serve`. Return the seconds it told."""
    ENV_FILE.write_text(re.sub(r"(?m)^RUN_ID=.*$", f"RUN_ID={run_id}", ENV_FILE.read_text()))
    said = make("start-serve", seconds=180)
    told = re.search(rf"all doors are serving run {run_id} .*?took ([\d.]+) s", said, re.DOTALL)
    assert told, said
    return float(told[1])
