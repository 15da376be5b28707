"""Services that ask for a password, and what our clients and start scripts do with it."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import bcrypt
import pytest
import requests

from scorehouse.errors import RegistryUnavailable, SettingError, StoreUnavailable
from scorehouse.registry.client import Registry
from scorehouse.stores.mongo_store import MongoStore
from tests import servers
from tests.processes import HOST, ROOT, free_port, until
from tests.prometheus import FOLDER, program
from tests.servers import Server

SECRET = "0123456789abcdef" * 3
BASIC = ("scorehouse", SECRET)
PREDICTION = {
    "prediction_id": "p1", "use_case": "churn", "model_run_id": "0" * 32, "created_at": "2026-01-01T00:00:00+00:00",
    "door": "http", "record": {}, "prediction": 0.5,
}  # fmt: skip


def test_a_store_without_users_gets_one_keeps_its_predictions_and_refuses_everyone_else(tmp_path: Path) -> None:
    server = servers.mongod(tmp_path)
    with server.running(), closing(MongoStore(server.address)) as store:
        store.add([PREDICTION])
    server.environ = {"MONGODB_PASSWORD": SECRET}
    with server.running():
        for login in ("", "scorehouse:wrong-password@"):
            stranger = closing(MongoStore(server.address.replace("//", f"//{login}")))
            with stranger as store, pytest.raises(StoreUnavailable) as refused:
                store.add([PREDICTION])
            assert "wrong-password" not in str(refused.value)
        with closing(MongoStore(server.address.replace("//", f"//scorehouse:{SECRET}@"))) as store:
            assert store.add([PREDICTION]).stored == 0


@pytest.mark.parametrize("address", ["mongodb://u:TOP/s@host", "mongodb://u:TOP@s@host", "mongodb://u:TOP:s@host"])
def test_an_address_that_is_not_valid_is_not_repeated_because_it_holds_a_password(address: str) -> None:
    with pytest.raises(SettingError, match="percent-encode") as told:
        MongoStore(address)
    assert "TOP" not in str(told.value)


@pytest.fixture(scope="module")
def closed_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """MLflow with the product's configuration of its basic auth."""
    folder = tmp_path_factory.mktemp("mlflow")
    server = servers.mlflow(folder)
    text = (ROOT / "mlflow" / "basic_auth.ini").read_text()
    (folder / "auth.ini").write_text(text.replace("sqlite:////tmp/", f"sqlite:///{folder}/"))
    server.command = [*server.command, "--app-name", "basic-auth"]
    server.environ |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
        "MLFLOW_AUTH_ADMIN_USERNAME": BASIC[0], "MLFLOW_AUTH_ADMIN_PASSWORD": SECRET,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": SECRET,
    }  # fmt: skip
    with server.running():
        yield server


def test_the_registry_logs_in_and_no_message_tells_the_password(closed_mlflow: Server) -> None:
    for login in (None, ("scorehouse", "wrong-password")):
        with pytest.raises(RegistryUnavailable, match="HTTP 401") as refused:
            Registry(closed_mlflow.address, login=login).newest("churn")
        assert "wrong-password" not in str(refused.value)
    found = Registry(closed_mlflow.address, login=BASIC)
    assert list(found.tagged_versions("churn")) == []


def test_mlflow_gives_neither_runs_nor_artifacts_nor_pages_without_its_password(closed_mlflow: Server) -> None:
    paths = (
        "/", "/api/2.0/mlflow/experiments/search?max_results=1", "/ajax-api/2.0/mlflow/runs/get?run_id=0", "/graphql",
        "/api/2.0/mlflow-artifacts/artifacts", "/ajax-api/2.0/mlflow-artifacts/artifacts/a", "/get-artifact?path=a",
        "/model-versions/get-artifact?path=a", "/v1/traces", "/signup",
    )  # fmt: skip
    for path in paths:
        assert requests.get(f"{closed_mlflow.address}{path}", timeout=10).status_code == 401, path
    put = requests.put(f"{closed_mlflow.address}/api/2.0/mlflow-artifacts/artifacts/a/b", data=b"x", timeout=10)
    assert put.status_code == 401
    put = requests.put(put.url, data=b"x", auth=BASIC, timeout=10)
    assert put.status_code == 200, put.text


def status(address: str) -> int:
    """The status of an answer without a password; 0 if there is none."""
    try:
        return requests.get(address, timeout=5).status_code
    except requests.RequestException:
        return 0


@contextmanager
def listening() -> Iterator[int]:
    """Run a `Target` during the block, and yield its port."""
    server = ThreadingHTTPServer((HOST, 0), Target)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Target(BaseHTTPRequestHandler):
    """A service that counts what it is asked with."""

    sent: set[tuple[str, str, str]]

    def do_GET(self) -> None:
        self.sent.add((self.headers["Host"], self.path, self.headers.get("Authorization", "")))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"up_here 1\n")

    def log_message(self, format: str, *args: object) -> None:
        logging.debug(format, *args)


def test_prometheus_sends_the_secret_to_its_targets_and_asks_for_it(tmp_path: Path) -> None:
    Target.sent = set()
    address = f"{HOST}:{free_port()}"
    with listening() as target:
        ours, others = f"{HOST}:{target}", f"localhost:{target}"
        environ = {
            "PROMETHEUS_FOLDER": str(tmp_path / "p"), "PROMETHEUS_TARGETS": f"scorer={ours}",
            "PROMETHEUS_BASIC_TARGETS": f"disks={others}",
            "ALERTMANAGER_TARGET": f"{HOST}:1", "PROMETHEUS_INTERVAL": "1s", "SERVICE_SECRET": SECRET,
            "SERVICE_SECRET_BCRYPT": bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode(),
        }  # fmt: skip
        command = [str(FOLDER / "start.sh"), f"--storage.tsdb.path={tmp_path}/t", f"--web.listen-address={address}"]
        with program(command[0], command, tmp_path, **environ):
            until(lambda: len(Target.sent) > 1, 30, "Prometheus asks its targets")
            basic = base64.b64encode(":".join(BASIC).encode()).decode()
            assert Target.sent == {
                (ours, "/metrics", f"Bearer {SECRET}"), (others, "/metrics", f"Basic {basic}"),
            }  # fmt: skip
            asked = f"http://{address}/api/v1/targets"
            until(lambda: status(asked) == 401, 30, "Prometheus refuses what has no password")
            assert requests.get(asked, auth=("scorehouse", "wrong"), timeout=5).status_code == 401
            assert requests.get(asked, auth=BASIC, timeout=5).status_code == 200
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "p").glob("*") if not path.is_symlink()} == {0}


def test_alertmanager_asks_for_the_secret(tmp_path: Path) -> None:
    address = f"{HOST}:{free_port()}"
    environ = {
        "ALERTMANAGER": "prometheus-alertmanager", "ALERTMANAGER_CONFIG": str(tmp_path / "alertmanager.yml"),
        "SERVICE_SECRET_BCRYPT": bcrypt.hashpw(SECRET.encode(), bcrypt.gensalt(4)).decode(),
    }  # fmt: skip
    command = [
        str(ROOT / "monitoring" / "alertmanager" / "start.sh"), f"--storage.path={tmp_path}/data",
        "--cluster.listen-address=", f"--web.listen-address={address}",
    ]  # fmt: skip
    alerts = f"http://{address}/api/v2/alerts"
    with program(command[0], command, tmp_path, **environ):
        until(lambda: status(alerts) == 401, 30, "Alertmanager refuses what has no password")
        assert requests.get(alerts, auth=BASIC, timeout=5).status_code == 200
