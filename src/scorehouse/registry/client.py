"""The model registry as doors and deployments use it: MLflow's REST interface, without MLflow's client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests

from scorehouse.errors import AliasMoved, BundleError, RegistryUnavailable, RunNotFound
from scorehouse.settings import ServingSettings

SERVING, PRODUCTION = "serving", "production"
DIGEST_TAG = "bundle_digest"
SIGNATURE_TAG = "bundle_signature"
FOLLOWS_TAG = "serving_follows"  # of the registered model: the alias that doors follow instead of `serving`
HOLD_TAG = "scorehouse.hold"  # of the registered model: no promotion until a person lifts it
REQUEST_TAG = "scorehouse.requested."  # of the registered model, and the env's name: the RUN_ID that was carried out
KEEP_TAG = "keep"  # of a run or a version: somebody wants it to stay
LARGEST_ARTIFACT = 2**30  # bytes: who may write artifacts must not fill the memory of every door
_CHUNK = 2**20
_API = "/api/2.0/mlflow"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version of a use case's model: the run that made it, its bundle's digest and signature."""

    number: str
    run_id: str
    digest: str | None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A person went back from run `left` at `at` (UTC). Until a person lifts the hold, no promotion moves an alias."""

    who: str
    why: str
    at: datetime
    left: str


class Registry:
    """MLflow at `address`; every call is bounded by `timeout` seconds."""

    def __init__(self, address: str, timeout: float = 5.0, login: tuple[str, str] | None = None):
        """Open no connection yet. `login` is the user and the password, if MLflow asks for them."""
        self.address = address
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = login

    @classmethod
    def of(cls, settings: ServingSettings, timeout: float = 5.0) -> Registry:
        """Return the MLflow of MLFLOW_ADDRESS, with the login in the settings."""
        return cls(settings.mlflow_address, timeout, settings.mlflow_login)

    def version_by_alias(self, use_case: str, alias: str) -> Version:
        """Return the version that `alias` of the model `use_case` names. Raises RunNotFound, RegistryUnavailable."""
        asked = {"name": use_case, "alias": alias}
        found = self._call("GET", "/registered-models/alias", f"alias {alias!r} of model {use_case}", params=asked)
        return _version(found["model_version"])

    def version_of_run(self, use_case: str, run_id: str) -> Version:
        """Return the version that run `run_id` registered. Raises RunNotFound, RegistryUnavailable."""
        wanted = f"name = '{use_case}' and run_id = '{run_id}'"
        page = self._call("GET", "/model-versions/search", f"versions of model {use_case}", params={"filter": wanted})
        found = page.get("model_versions", [])
        if not found:
            remedy = "use the run of a registered version (MLflow lists them under Models)"
            try:
                self._run(run_id)
            except RunNotFound as error:
                raise RunNotFound(f"{error}: {remedy}") from error
            raise RunNotFound(
                f"run {run_id} registered no model for {use_case}: it may be a trial of a search; {remedy}"
            )
        return max((_version(v) for v in found), key=lambda v: int(v.number))

    def newest(self, use_case: str) -> str:
        """Return the run id of the version that was registered last. Raises RunNotFound, RegistryUnavailable."""
        versions = [version for version, _ in self.tagged_versions(use_case)]
        if not versions:
            raise RunNotFound(f"MLflow at {self._where} has no version of model {use_case}: train a model first")
        return max(versions, key=lambda version: int(version.number)).run_id

    def served(self, use_case: str) -> Version:
        """Return the version that should serve: that of `serving`, or of the alias which it follows.

        Raises:
            RunNotFound: no run was deployed yet.
            RegistryUnavailable: MLflow cannot be reached.
        """
        model = self._model(use_case)
        alias = _tags(model).get(FOLLOWS_TAG) or SERVING
        numbers = {a["alias"]: a["version"] for a in model.get("aliases", [])}
        if alias not in numbers:
            remedy = "set RUN_ID and run `make start-serve`"
            if alias == PRODUCTION:
                remedy = "promote a version (`make promote`), or set RUN_ID to a run ID and run `make start-serve`"
            raise RunNotFound(f"MLflow at {self._where} has no alias {alias!r} of model {use_case}: {remedy}")
        what = f"version {numbers[alias]} of model {use_case}"
        asked = {"name": use_case, "version": numbers[alias]}
        return _version(self._call("GET", "/model-versions/get", what, params=asked)["model_version"])

    def followed(self, use_case: str) -> str:
        """Return the alias that doors serve: `serving`, or the one it follows. Raises as `served`."""
        model = self._model(use_case)
        return _tags(model).get(FOLLOWS_TAG) or SERVING

    def follow(self, use_case: str, alias: str) -> None:
        """Let doors serve what `alias` names from now on. Raises RunNotFound, RegistryUnavailable."""
        self._tag_model(use_case, FOLLOWS_TAG, alias)

    def hold(self, use_case: str) -> Hold | None:
        """Return the hold that a rollback has set, or None. Raises RegistryUnavailable."""
        text = self._model_tags(use_case).get(HOLD_TAG)
        return _hold(text) if text else None

    def set_hold(self, use_case: str, hold: Hold) -> None:
        """Hold what serves until `lift_hold`. Raises RunNotFound, RegistryUnavailable."""
        about = {"who": hold.who, "why": hold.why, "at": hold.at.isoformat(), "left": hold.left}
        self._tag_model(use_case, HOLD_TAG, orjson.dumps(about).decode())

    def lift_hold(self, use_case: str) -> None:
        """Allow promotions again; without a hold, do nothing. Raises RegistryUnavailable."""
        if HOLD_TAG in self._model_tags(use_case):
            self.remove_tag(use_case, HOLD_TAG)

    def requested_run(self, use_case: str, env: str) -> str | None:
        """Return the RUN_ID of env=`env` that was carried out last, None if none was. Raises RegistryUnavailable."""
        return self._model_tags(use_case).get(f"{REQUEST_TAG}{env}")

    def remember_request(self, use_case: str, env: str, run_id: str) -> None:
        """Remember that RUN_ID=`run_id` of env=`env` was carried out. Raises RunNotFound, RegistryUnavailable."""
        self._tag_model(use_case, f"{REQUEST_TAG}{env}", run_id)

    def tags(self, use_case: str) -> dict[str, str]:
        """Return the tags of the registered model; none if there is no model. Raises RegistryUnavailable."""
        return self._model_tags(use_case)

    def set_tag(self, use_case: str, key: str, value: str) -> None:
        """Set a tag of the registered model. Raises RunNotFound, RegistryUnavailable."""
        self._tag_model(use_case, key, value)

    def remove_tag(self, use_case: str, key: str) -> None:
        """Remove a tag of the registered model; without it, do nothing. Raises RegistryUnavailable."""
        body = {"name": use_case, "key": key}
        with suppress(RunNotFound):
            self._call("DELETE", "/registered-models/delete-tag", f"tag {key} of model {use_case}", json=body)

    def run_tags(self, run_id: str) -> dict[str, str]:
        """Return the tags of a run. Raises RunNotFound, RegistryUnavailable."""
        return _tags(self._run(run_id)["data"])

    def tag_run(self, run_id: str, key: str, value: str) -> None:
        """Set a tag of a run. Raises RunNotFound, RegistryUnavailable."""
        self._call("POST", "/runs/set-tag", f"run {run_id}", json={"run_id": run_id, "key": key, "value": value})

    def tagged_versions(self, use_case: str) -> Iterator[tuple[Version, dict[str, str]]]:
        """Yield every version with its tags, in no order. Raises RegistryUnavailable."""
        asked = {"filter": f"name = '{use_case}'", "max_results": "1000"}
        while True:
            page = self._call("GET", "/model-versions/search", f"versions of model {use_case}", params=asked)
            yield from ((_version(v), _tags(v)) for v in page.get("model_versions", []))
            if not page.get("next_page_token"):
                return
            asked = {**asked, "page_token": page["next_page_token"]}

    def tag_version(self, use_case: str, version: Version, key: str, value: str) -> None:
        """Set a tag of `version`. Raises RunNotFound, RegistryUnavailable."""
        body = {"name": use_case, "version": version.number, "key": key, "value": value}
        self._call("POST", "/model-versions/set-tag", f"version {version.number} of model {use_case}", json=body)

    def set_alias(self, use_case: str, alias: str, version: Version) -> None:
        """Move `alias` to `version`. Raises RegistryUnavailable."""
        body = {"name": use_case, "alias": alias, "version": version.number}
        self._call("POST", "/registered-models/alias", f"version {version.number} of model {use_case}", json=body)

    def move_alias(self, use_case: str, alias: str, version: Version, holder: Version | None) -> None:
        """Move `alias` to `version` if `holder` (None: no version) still has it, as MLflow says just before.

        MLflow has no compare-and-set, so two callers within the same milliseconds may both succeed.

        Raises:
            AliasMoved: another version has the alias by now; nothing was changed.
            RegistryUnavailable: MLflow cannot be reached.
        """
        try:
            now = self.version_by_alias(use_case, alias)
        except RunNotFound:
            now = None
        if now != holder:
            has = f"run {now.run_id}" if now else "no run"
            raise AliasMoved(
                f"alias {alias!r} of model {use_case} was moved meanwhile: {has} has it now; compare again"
            )
        self.set_alias(use_case, alias, version)

    def artifact(self, run_id: str, path: str, most: int = LARGEST_ARTIFACT) -> bytes:
        """Return the content of one file among the artifacts of `run_id`.

        Raises:
            RunNotFound, RegistryUnavailable: there is no such file, or MLflow cannot be reached.
            BundleError: it has more than `most` bytes, which is found out before more are read.
        """
        what = f"file {path} in run {run_id}"
        content = BytesIO()
        with self._ask("GET", self._artifact(run_id, path), what, stream=True) as answer:
            try:
                for chunk in answer.iter_content(_CHUNK):
                    content.write(chunk)
                    if content.tell() > most:
                        raise BundleError(f"{what} has more than {most:,} bytes: deploy another run or retrain")
            except requests.RequestException as error:
                raise self._not_responding(error) from error
        return content.getvalue()

    def put_artifact(self, run_id: str, path: str, content: bytes) -> None:
        """Write one file among the artifacts of `run_id`. Raises RunNotFound, RegistryUnavailable."""
        self._ask("PUT", self._artifact(run_id, path), f"file {path} in run {run_id}", data=content)

    def _model(self, use_case: str) -> dict[str, Any]:
        try:
            answer = self._call("GET", "/registered-models/get", f"model named {use_case}", params={"name": use_case})
        except RunNotFound as error:
            raise RunNotFound(f"no model named {use_case} is registered in MLflow yet") from error
        model: dict[str, Any] = answer["registered_model"]
        return model

    def _model_tags(self, use_case: str) -> dict[str, str]:
        try:
            return _tags(self._model(use_case))
        except RunNotFound:
            return {}

    def _tag_model(self, use_case: str, key: str, value: str) -> None:
        body = {"name": use_case, "key": key, "value": value}
        self._call("POST", "/registered-models/set-tag", f"model named {use_case}", json=body)

    def _run(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self._call("GET", "/runs/get", f"run {run_id}", params={"run_id": run_id})["run"]
        return run

    def _artifact(self, run_id: str, path: str) -> str:
        run = self._run(run_id)["info"]
        root = urlsplit(run["artifact_uri"]).path.strip("/")  # mlflow-artifacts:/<experiment>/<run>/artifacts
        return f"{self.address}/api/2.0/mlflow-artifacts/artifacts/{quote(root)}/{quote(path)}"

    def _call(self, method: str, path: str, what: str, **more: Any) -> dict[str, Any]:
        """Call MLflow's API; errors say that it has no `what`, or that it failed when asked for `what`."""
        try:
            answer: dict[str, Any] = self._ask(method, f"{self.address}{_API}{path}", what, **more).json()
        except requests.JSONDecodeError as error:
            raise RegistryUnavailable(f"the server at {self._where} is not MLflow: its response is not JSON") from error
        return answer

    def _ask(self, method: str, address: str, what: str, **more: Any) -> requests.Response:
        try:
            answer = self._session.request(method, address, timeout=self._timeout, **more)
        except requests.RequestException as error:
            raise self._not_responding(error) from error
        if answer.status_code == 404 or (answer.status_code == 400 and "INVALID_PARAMETER_VALUE" in answer.text):
            raise RunNotFound(f"MLflow at {self._where} has no {what}")
        if not answer.ok:
            raise RegistryUnavailable(
                f"MLflow at {self._where} returned HTTP {answer.status_code} when asked for {what}"
            )
        return answer

    def _not_responding(self, error: requests.RequestException) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"MLflow at {self._where} is not responding ({type(error).__name__}): "
            "check that it is running, and that MLFLOW_ADDRESS is right"
        )

    @property
    def _where(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _version(found: dict[str, Any]) -> Version:
    tags = _tags(found)
    return Version(str(found["version"]), found["run_id"], tags.get(DIGEST_TAG), tags.get(SIGNATURE_TAG))


def _tags(found: dict[str, Any]) -> dict[str, str]:
    return {t["key"]: t["value"] for t in found.get("tags", [])}


def _hold(text: str) -> Hold:
    """A hold from its tag. A tag that a person wrote in MLflow holds as well: its text is the reason."""
    try:
        about = orjson.loads(text)
        return Hold(str(about["who"]), str(about["why"]), datetime.fromisoformat(about["at"]), str(about["left"]))
    except (ValueError, KeyError, TypeError):
        return Hold("MLflow", text, datetime.fromtimestamp(0, UTC), "")
