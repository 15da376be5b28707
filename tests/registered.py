"""What a training leaves in MLflow, written by its REST interface: runs with bundles, good or bad, and versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from scorehouse.bundles import bundle
from scorehouse.bundles.bundle import MANIFEST
from scorehouse.registry.client import DIGEST_TAG, Registry
from tests.toy import Toy

USE_CASE = "churn"


class Mlflow:
    """MLflow at `address`."""

    def __init__(self, address: str):
        self.address = address

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.address}/api/2.0/mlflow/{path}", json=body, timeout=60)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def run(self) -> str:
        """Create a run; return its id."""
        return str(self.call("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"])

    def log(self, run_id: str, files: dict[str, bytes]) -> None:
        """Log these files as the run's bundle."""
        found = requests.get(f"{self.address}/api/2.0/mlflow/runs/get", params={"run_id": run_id}, timeout=60).json()
        root = found["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/").strip("/")
        for name, content in files.items():
            address = f"{self.address}/api/2.0/mlflow-artifacts/artifacts/{root}/bundle/{name}"
            assert requests.put(address, data=content, timeout=60).ok

    def register(self, run_id: str, digest: str | None) -> str:
        """Register the run as a version of the use case's model; return its number."""
        requests.post(f"{self.address}/api/2.0/mlflow/registered-models/create", json={"name": USE_CASE}, timeout=60)
        created = self.call("model-versions/create", name=USE_CASE, source=f"runs:/{run_id}/bundle", run_id=run_id)
        number = str(created["model_version"]["version"])
        if digest:
            self.call("model-versions/set-tag", name=USE_CASE, version=number, key=DIGEST_TAG, value=digest)
        return number

    def alias(self, alias: str, run_id: str) -> None:
        """Move an alias to the run's version, as a client or MLflow's page does."""
        found = requests.get(
            f"{self.address}/api/2.0/mlflow/model-versions/search",
            params={"filter": f"name = '{USE_CASE}' and run_id = '{run_id}'"},
            timeout=60,
        ).json()["model_versions"]
        self.call("registered-models/alias", name=USE_CASE, alias=alias, version=found[0]["version"])

    def served(self) -> str:
        """Return the run that the registry wants doors to serve."""
        return Registry(self.address).served(USE_CASE).run_id

    def with_bundle(
        self,
        toy: Toy,
        folder: Path,
        files: dict[str, bytes] | None = None,
        damage: dict[str, bytes] | None = None,
        **manifest: Any,
    ) -> str:
        """Log and register a run that carries the toy's bundle, or a changed one; return its id.

        `files` and `manifest` are what training wrote, the digest is theirs; `damage` came behind the digest's back.
        """
        run_id = self.run()
        contents = {path.name: path.read_bytes() for path in toy.folder.iterdir()} | (files or {})
        said = bundle.read_manifest(contents.pop(MANIFEST)).model_copy(update={"run_id": run_id, **manifest})
        digest = bundle.write(folder / run_id, said, contents)
        self.log(run_id, {p.name: p.read_bytes() for p in (folder / run_id).iterdir()} | (damage or {}))
        self.register(run_id, digest)
        return run_id
