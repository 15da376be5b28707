"""What a training leaves in MLflow, written through its REST interface: runs with bundles, and versions."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import requests

from tests import signing
from tests.models import MANIFEST, Model

USE_CASE = "churn"
DIGEST_TAG = "bundle_digest"  # of a version
FOLLOWS_TAG = "serving_follows"  # of the registered model: the alias that doors serve instead of `serving`
TIMEOUT = 60


class Mlflow:
    """MLflow at `address`."""

    def __init__(self, address: str):
        self.address = address

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Return the answer to a call that writes."""
        return self._answer("POST", path, json=body)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Return the answer to a call that reads."""
        return self._answer("GET", path, params=parameters)

    def _answer(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        reply = requests.request(method, f"{self.address}/api/2.0/mlflow/{path}", timeout=TIMEOUT, **more)
        assert reply.ok, reply.text
        answer: dict[str, Any] = reply.json()
        return answer

    def run(self) -> str:
        """Create a run; return its id."""
        return str(self.post("runs/create", experiment_id="0", start_time=1)["run"]["info"]["run_id"])

    def log(self, run_id: str, files: dict[str, bytes]) -> None:
        """Log these files as the run's bundle."""
        uri = self.get("runs/get", run_id=run_id)["run"]["info"]["artifact_uri"]
        root = uri.removeprefix("mlflow-artifacts:/").strip("/")
        for name, content in files.items():
            address = f"{self.address}/api/2.0/mlflow-artifacts/artifacts/{root}/bundle/{name}"
            assert requests.put(address, data=content, timeout=TIMEOUT).ok

    def register(self, run_id: str, digest: str | None, signature: str | None = None) -> str:
        """Register the run as a version of the use case's model, signed by the tests' key; return its number.

        Another `signature` replaces the right one; an empty one leaves the version unsigned.
        """
        models = f"{self.address}/api/2.0/mlflow/registered-models/create"
        requests.post(models, json={"name": USE_CASE}, timeout=TIMEOUT)  # an error where it exists already
        created = self.post("model-versions/create", name=USE_CASE, source=f"runs:/{run_id}/bundle", run_id=run_id)
        number = str(created["model_version"]["version"])
        if digest:
            self.tag(number, DIGEST_TAG, digest)
            if signed := signing.signature(run_id, digest) if signature is None else signature:
                self.tag(number, signing.SIGNATURE_TAG, signed)
        return number

    def tag(self, number: str, key: str, value: str) -> None:
        """Set a tag of a version, as a client or MLflow's page does."""
        self.post("model-versions/set-tag", name=USE_CASE, version=number, key=key, value=value)

    def alias(self, alias: str, run_id: str) -> None:
        """Move an alias to the run's version, as a client or MLflow's page does."""
        wanted = f"name = '{USE_CASE}' and run_id = '{run_id}'"
        (version,) = self.get("model-versions/search", filter=wanted)["model_versions"]
        self.post("registered-models/alias", name=USE_CASE, alias=alias, version=version["version"])

    def served(self) -> str:
        """Return the run that the registry wants doors to serve."""
        model = self.get("registered-models/get", name=USE_CASE)["registered_model"]
        tags = {tag["key"]: tag["value"] for tag in model.get("tags", [])}
        versions = {alias["alias"]: alias["version"] for alias in model["aliases"]}
        number = versions[tags.get(FOLLOWS_TAG) or "serving"]
        version = self.get("model-versions/get", name=USE_CASE, version=number)["model_version"]
        return str(version["run_id"])

    def with_bundle(
        self,
        model: Model,
        files: dict[str, bytes] | None = None,
        damage: dict[str, bytes] | None = None,
        signature: str | None = None,
        **manifest: Any,
    ) -> str:
        """Log and register a run that carries the model's bundle, or a changed one; return its id.

        `files` and `manifest` are what training wrote, and the digest covers them. `damage` replaces files without
        changing the digest. `signature` is as for `register`.
        """
        run_id = self.run()
        contents = {path.name: path.read_bytes() for path in model.folder.iterdir()} | (files or {})
        del contents[MANIFEST], contents[signing.SIGNATURE]  # neither is listed in the manifest
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        description = orjson.dumps({**model.manifest, "run_id": run_id, **manifest, "files": digests})
        self.log(run_id, {**contents, MANIFEST: description, **(damage or {})})
        digest = hashlib.sha256(description).hexdigest()
        if signature is None:
            whole = {**model.manifest, **manifest}
            signature = signing.signature(run_id, digest, whole["use_case"], whole["use_case_version"])
        self.register(run_id, digest, signature)
        return run_id
