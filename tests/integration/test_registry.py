"""The registry, the bundle cache and the scorer against a real MLflow: there, wrong, damaged, and away."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from model_orchestration.training.bundling import write_bundle
from scorehouse.bundles.bundle import MANIFEST, ONNX
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import AliasMoved, BundleError, RegistryUnavailable, RunNotFound
from scorehouse.registry.client import HOLD_TAG, PRODUCTION, SERVING, Hold, Registry
from tests import servers, signing
from tests import toy as toys
from tests.registered import USE_CASE, Mlflow
from tests.servers import Server
from tests.toy import HOST, ROOT, Toy, free_port, until

NOWHERE = "f" * 32


@pytest.fixture(scope="module")
def mlflow(mlflow_server: Server) -> Mlflow:
    return Mlflow(mlflow_server.address)


@pytest.fixture(scope="module")
def registry(mlflow_server: Server) -> Registry:
    return Registry(mlflow_server.address)


def files_of(toy: Toy, run_id: str, folder: Path) -> tuple[dict[str, bytes], str]:
    """The files of the toy's bundle as `run_id` carries it, and their digest."""
    digest = write_bundle(folder, run_id, toy.training, toy.trained, "0" * 40, toy.bundle().manifest.created_at)
    return {path.name: path.read_bytes() for path in folder.iterdir()}, digest


@pytest.fixture(scope="module")
def served(mlflow: Mlflow, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The run id of a whole, registered bundle."""
    run_id = mlflow.run()
    files, digest = files_of(toy, run_id, tmp_path_factory.mktemp("served"))
    mlflow.log(run_id, files)
    mlflow.register(run_id, digest)
    return run_id


@pytest.fixture(scope="module")
def damaged(mlflow: Mlflow, toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The run id of a registered bundle whose model lost a byte."""
    run_id = mlflow.run()
    files, digest = files_of(toy, run_id, tmp_path_factory.mktemp("damaged"))
    mlflow.log(run_id, {**files, ONNX: files[ONNX][:-1]})
    mlflow.register(run_id, digest)
    return run_id


def test_a_run_is_found_with_its_version_and_digest(registry: Registry, served: str) -> None:
    version = registry.version_of_run(USE_CASE, served)
    manifest = registry.artifact(served, f"bundle/{MANIFEST}")
    assert (version.run_id, version.digest) == (served, hashlib.sha256(manifest).hexdigest())
    assert int(version.number) >= 1


def test_an_alias_is_moved_and_read_back(registry: Registry, served: str, damaged: str) -> None:
    for run_id in (damaged, served):
        version = registry.version_of_run(USE_CASE, run_id)
        registry.set_alias(USE_CASE, "test-alias", version)
        assert registry.version_by_alias(USE_CASE, "test-alias") == version


def test_an_alias_that_was_moved_meanwhile_is_not_moved_again(registry: Registry, served: str, damaged: str) -> None:
    first, second = (registry.version_of_run(USE_CASE, run_id) for run_id in (served, damaged))
    registry.move_alias(USE_CASE, "guarded", first, None)
    with pytest.raises(AliasMoved, match=f"alias 'guarded' of model churn was moved meanwhile: run {served} has it"):
        registry.move_alias(USE_CASE, "guarded", second, None)
    with pytest.raises(AliasMoved):
        registry.move_alias(USE_CASE, "guarded", first, second)
    assert registry.version_by_alias(USE_CASE, "guarded") == first
    registry.move_alias(USE_CASE, "guarded", second, first)
    assert registry.version_by_alias(USE_CASE, "guarded") == second


def test_a_hold_lasts_until_it_is_lifted_and_says_who_set_it_and_why(registry: Registry, mlflow: Mlflow) -> None:
    model = "held"
    assert registry.hold("no_such_model") is None
    registry.lift_hold("no_such_model")
    mlflow.post("registered-models/create", name=model)
    assert registry.hold(model) is None
    registry.lift_hold(model)
    hold = Hold("ada", 'too many "no"', datetime(2026, 11, 21, 12, tzinfo=UTC), "a" * 32)
    registry.set_hold(model, hold)
    assert registry.hold(model) == hold
    registry.lift_hold(model)
    assert registry.hold(model) is None
    mlflow.post("registered-models/set-tag", name=model, key=HOLD_TAG, value="wait for bob")
    by_hand = registry.hold(model)
    assert by_hand is not None and (by_hand.who, by_hand.why) == ("MLflow", "wait for bob")


def test_each_env_has_its_own_last_request_and_an_empty_one_is_one(registry: Registry, mlflow: Mlflow) -> None:
    model = "requested"
    assert registry.requested_run("no_such_model", "local") is None
    mlflow.post("registered-models/create", name=model)
    registry.remember_request(model, "local", "a" * 32)
    registry.remember_request(model, "cloud", "")
    assert registry.requested_run(model, "local") == "a" * 32
    assert registry.requested_run(model, "cloud") == ""
    assert registry.requested_run(model, "second") is None


def test_a_run_that_was_registered_twice_is_its_latest_version(mlflow: Mlflow, registry: Registry) -> None:
    run_id = mlflow.run()
    first, second = mlflow.register(run_id, None), mlflow.register(run_id, "0" * 64)
    assert int(second) > int(first)
    assert registry.version_of_run(USE_CASE, run_id).number == second


def test_the_newest_run_is_that_of_the_highest_version_number(mlflow: Mlflow, registry: Registry) -> None:
    runs = [mlflow.run() for _ in range(11)]  # more than nine: as text, version 10 would sort before version 9
    for run_id in runs:
        mlflow.register(run_id, None)
    assert registry.newest(USE_CASE) == runs[-1]
    mlflow.register(runs[0], None)
    assert registry.newest(USE_CASE) == runs[0]
    with pytest.raises(RunNotFound, match="no version of model no_such_model: train a model first"):
        registry.newest("no_such_model")


def test_what_mlflow_does_not_know_is_told_apart_from_mlflow_being_down(
    registry: Registry, served: str, mlflow: Mlflow
) -> None:
    with pytest.raises(RunNotFound, match=NOWHERE):
        registry.version_of_run(USE_CASE, NOWHERE)
    with pytest.raises(RunNotFound, match="no-such-alias"):
        registry.version_by_alias(USE_CASE, "no-such-alias")
    with pytest.raises(RunNotFound, match="has no alias 'serving' of model no_such_model"):
        registry.version_by_alias("no_such_model", "serving")
    with pytest.raises(RunNotFound, match=r"^no model named no_such_model is registered in MLflow yet$"):
        registry.served("no_such_model")
    with pytest.raises(RunNotFound, match=r"nothing\.bin"):
        registry.artifact(served, "bundle/nothing.bin")
    unregistered = mlflow.run()
    with pytest.raises(RunNotFound, match=f"run {unregistered} registered no model for churn: it may be a trial"):
        registry.version_of_run(USE_CASE, unregistered)


@pytest.mark.parametrize(("alias", "remedy"), [(SERVING, "set RUN_ID"), (PRODUCTION, "promote a version")])
def test_a_model_without_the_alias_that_doors_follow_says_what_to_do(
    registry: Registry, mlflow: Mlflow, alias: str, remedy: str
) -> None:
    model = f"no-{alias}"
    mlflow.post("registered-models/create", name=model)
    registry.follow(model, alias)
    with pytest.raises(RunNotFound, match=f"has no alias '{alias}' of model {model}: {remedy}"):
        registry.served(model)


def test_a_server_that_is_down_or_slow_or_something_else_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RegistryUnavailable, match="is not responding"):
        Registry(f"http://{HOST}:{free_port()}").version_by_alias(USE_CASE, "serving")
    with pytest.raises(RegistryUnavailable, match="is not responding"):
        Registry("http://no-such-host.invalid:5051").version_by_alias(USE_CASE, "serving")
    with another_server("<html>welcome</html>", 200) as address, pytest.raises(RegistryUnavailable, match="not JSON"):
        Registry(address).version_by_alias(USE_CASE, "serving")
    with (
        another_server("no", 502) as address,
        pytest.raises(RegistryUnavailable, match="returned HTTP 502 when asked for alias 'serving' of model churn"),
    ):
        Registry(address).version_by_alias(USE_CASE, "serving")
    with another_server("{}", 200, slow=True) as address:
        began = time.monotonic()
        with pytest.raises(RegistryUnavailable, match="Timeout"):
            Registry(address, timeout=0.5).version_by_alias(USE_CASE, "serving")
        assert time.monotonic() - began < 5


def test_no_message_tells_the_credentials_in_the_address() -> None:
    with pytest.raises(RegistryUnavailable) as told:
        Registry(f"http://user:secret@{HOST}:{free_port()}").version_by_alias(USE_CASE, "serving")
    assert "secret" not in str(told.value)


class another_server:  # noqa: N801  used as a word
    """A server that is no MLflow."""

    def __init__(self, body: str, status: int, slow: bool = False):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if slow:
                    time.sleep(2)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer((HOST, 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://{HOST}:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def test_a_bundle_is_fetched_whole_and_a_damaged_one_refused(
    registry: Registry, served: str, damaged: str, toy: Toy, tmp_path: Path
) -> None:
    cache = BundleCache(tmp_path, registry, Trust((signing.PUBLIC,)))
    found = cache.load(registry.version_of_run(USE_CASE, served))
    assert (found.folder / ONNX).read_bytes() == toy.trained.onnx
    assert found.manifest.run_id == served
    with pytest.raises(BundleError, match=f"{ONNX} is damaged"):
        cache.load(registry.version_of_run(USE_CASE, damaged))
    assert sorted(p.name for p in tmp_path.iterdir()) == [served]


def test_a_run_without_a_bundle_is_refused(mlflow: Mlflow, registry: Registry, tmp_path: Path) -> None:
    run_id = mlflow.run()
    mlflow.register(run_id, "0" * 64)
    with pytest.raises(BundleError, match="no complete bundle"):
        BundleCache(tmp_path, registry, Trust((signing.PUBLIC,))).load(registry.version_of_run(USE_CASE, run_id))


def start(run_id: str, mlflow_address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Start a scorer that is expected to end by itself."""
    scorer = toys.scorer(folder, run_id, MLFLOW_ADDRESS=mlflow_address)
    command = [sys.executable, "-m", "server.web"]
    environ = {**scorer.environ, "VERIFY_KEY": signing.VERIFY_KEY, "PATH": "", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_a_run_id_that_does_not_exist_ends_the_scorer_with_one_clear_line(
    mlflow_server: Server, tmp_path: Path
) -> None:
    ended = start(NOWHERE, mlflow_server.address, tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("cannot serve: ") and NOWHERE in line


def test_a_damaged_bundle_ends_the_scorer_with_one_clear_line(
    mlflow_server: Server, damaged: str, tmp_path: Path
) -> None:
    ended = start(damaged, mlflow_server.address, tmp_path)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("cannot serve: ") and f"{ONNX} is damaged" in line


@pytest.fixture
def own_mlflow(mlflow_server: Server, served: str, tmp_path: Path) -> Iterator[Server]:
    """A second MLflow on a copy of the first one's folder: this one may be stopped."""
    folder = mlflow_server.log.parent
    (tmp_path / "mlflow").mkdir()
    backup = [
        sys.executable,
        "-c",
        "import sqlite3,sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))",
    ]
    subprocess.run([*backup, folder / "mlflow.db", tmp_path / "mlflow" / "mlflow.db"], check=True, timeout=60)
    shutil.copytree(folder / "artifacts", tmp_path / "mlflow" / "artifacts")
    with servers.mlflow(tmp_path / "mlflow").running() as server:
        yield server


def test_with_mlflow_stopped_the_scorer_answers_on_and_restarts_from_its_cache(
    own_mlflow: Server, served: str, damaged: str, toy: Toy, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    expected = toy.bundle().scorer(toy.use_case).score(toy_records[:5])
    registry = Registry(own_mlflow.address)
    registry.set_alias(USE_CASE, SERVING, registry.version_of_run(USE_CASE, served))
    scorer = toys.scorer(tmp_path / "door", "", MLFLOW_ADDRESS=own_mlflow.address)

    def answers() -> list[Any]:
        answer = requests.post(f"{scorer.url}/predict", json=toy_records[:5], timeout=30)
        assert answer.status_code == 200, answer.text
        return [one[toy.use_case.answer] for one in answer.json()]

    def says(word: str) -> bool:
        return word in requests.get(f"{scorer.url}/readyz", timeout=30).json()["registry"]

    with toys.running(scorer):
        assert scorer.wait_ready()["model_run_id"] == served
        registry.set_alias(USE_CASE, SERVING, registry.version_of_run(USE_CASE, damaged))
        refused = until(lambda: (scorer.ready() or {}).get("refused"), 30, "the damaged bundle is refused")
        assert f"{ONNX} is damaged" in refused and answers() == expected
        own_mlflow.stop()
        until(lambda: says("is not responding"), 30, "the scorer knows that MLflow is down")
        assert answers() == expected
        scorer.kill()
        scorer.start()
        scorer.wait_ready()
        assert answers() == expected
        own_mlflow.start()
        until(lambda: says("answers"), 120, "the scorer finds MLflow again")
        assert answers() == expected
