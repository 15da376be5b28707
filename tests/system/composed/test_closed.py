"""Who reaches what: a stranger the gateway alone, this machine its ports, a process inside nothing without a secret."""

from __future__ import annotations

import base64
import ipaddress
import json
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.system.composed.project import (
    HOST,
    RECORD,
    compose,
    containers,
    fails,
    make,
    outside,
    secrets,
    until,
)

pytestmark = pytest.mark.compose

# Every port of this machine, with a path that answers 200.
PORTS = {
    9696: "/readyz", 9697: "/readyz", 9698: "/metrics", 8085: "/", 9091: "/-/ready", 9093: "/-/ready", 8888: "/",
    5051: "/", 4200: "/api/ready", 8081: "/health", 4566: "/_localstack/health",
}  # fmt: skip
# By service: its ports inside, a path that answers 200, and whose secret it asks for. A new service belongs here.
NEED_A_SECRET = {
    "scorer": (9696, "/readyz", "service"), "stream": (9697, "/readyz", "service"),
    "shipper": (9698, "/metrics", "service"), "monitor": (8085, "/", "service"),
    "web_service": (8080, "/readyz", "service"),
    "prometheus": (9090, "/api/v1/targets", "shared"), "alertmanager": (9093, "/api/v2/alerts", "shared"),
    "registry-disks": (9100, "/metrics", "shared"), "serving-disks": (9100, "/metrics", "shared"),
    "mlflow": (5000, "/api/2.0/mlflow/experiments/search?max_results=1", "mlflow"),
    "prefect": (4200, "/api/admin/version", "prefect"),
}  # fmt: skip
# Services without such a port, and why: the other tests of this file show it.
OTHERS = {
    "postgres": "asks for a password in its own protocol", "mongodb": "asks for a password in its own protocol",
    "localstack": "accepts any keys, and is in a network of its own",
    "gateway": "Nginx, which listens on the border alone", "reports": "Nginx", "insurance": "Nginx",
    "worker": "answers whether it is healthy, and nothing else",
    "simulator-http": "listens on no port", "simulator-kinesis": "listens on no port",
    "grafana": "asks for a login; its image is not available everywhere",
}  # fmt: skip
DATABASES = {("postgres", 5432), ("mongodb", 27017)}
ASK = """
import concurrent.futures, json, sys, urllib.error, urllib.request
def ask(address, headers):
    try:
        return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(getattr(error, "reason", error))
asked = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(8) as pool:  # what is closed takes the whole time limit to find out
    print(json.dumps(dict(zip(asked, pool.map(ask, *zip(*asked.values()))))))
"""


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def ask_inside(asked: Mapping[str, tuple[str, Mapping[str, str]]]) -> dict[str, int | str]:
    """Ask from within a container of the stack's network; return each status, or why there was none."""
    said = compose("exec", "-T", "shipper", "python", "-c", ASK, given=json.dumps(asked))
    found: dict[str, int | str] = json.loads(said)
    return found


def test_a_stranger_reaches_the_gateways_port_and_no_other(stack: str) -> None:
    published = {
        (host["HostIp"], int(host["HostPort"]))
        for about in containers().values()
        for bound in (about["HostConfig"]["PortBindings"] or {}).values()
        for host in bound
    }
    assert {port for host, port in published if host == HOST} >= {*PORTS, 27018}
    assert {(host, port) for host, port in published if host != HOST} == {(outside(), 8000)}
    for port in sorted({*PORTS, 3000, 8080, 27018}):
        with socket.socket() as other:
            other.settimeout(3)
            assert other.connect_ex((outside(), port)) != 0, f"port {port} can be reached from outside"
    assert requests.get(f"http://{outside()}:8000/healthz", timeout=5).status_code == 200
    for path in ("/", "/docs", "/monitor/", "/mlflow/", "/reports/", "/readyz", "/metrics", "/openapi.json"):
        assert requests.get(f"http://{outside()}:8000{path}", timeout=5).status_code in {401, 404}, path
    for path in ("/predict", "/outcomes", "/explain", "/mlflow/api/2.0/mlflow/runs/search"):
        assert requests.post(f"http://{outside()}:8000{path}", json=RECORD, timeout=5).status_code == 401, path


def test_a_stranger_passes_with_a_key_until_it_is_revoked(stack: str) -> None:
    def predict(key: str) -> int:
        sent = {"X-API-Key": key}
        return requests.post(f"http://{outside()}:8000/predict", json=RECORD, headers=sent, timeout=10).status_code

    key = make("key", "NAME=composed", "SCOPES=score", seconds=60).strip().splitlines()[-1]
    try:
        assert predict(key) == 200 and predict(key[:-1]) == 401
    finally:
        make("revoke", "NAME=composed", seconds=60)
    assert predict(key) == 401


def test_this_machine_needs_no_key_on_any_port(stack: str) -> None:
    for port, path in PORTS.items():
        assert requests.get(f"http://{HOST}:{port}{path}", timeout=10).status_code == 200, port


def test_a_name_that_a_stranger_could_own_is_misdirected_on_every_port(stack: str) -> None:
    for port, path in PORTS.items():
        rebound = requests.get(f"http://{HOST}:{port}{path}", headers={"Host": "rebound.example"}, timeout=10)
        assert rebound.status_code == 421, port
        posted = requests.post(f"http://{HOST}:{port}{path}", headers={"Origin": "http://a.example"}, timeout=10)
        assert posted.status_code == 403, port


@pytest.fixture(scope="module")
def insurance(stack: str) -> Iterator[None]:
    """The pages of insurance beside the stack, without a model: they are part of another use case's stack."""
    pages = ("web_service", "insurance")
    profile = ("--profile", "insurance")
    compose(*profile, "build", "web_service")
    compose(*profile, "up", "--detach", "--no-deps", *pages, USE_CASE="insurance")
    yield
    compose(*profile, "rm", "--stop", "--force", *pages)


def test_every_service_of_both_files_is_known_here(stack: str) -> None:
    of_both_files = set(compose("--profile", "*", "config", "--services").split())
    assert of_both_files == NEED_A_SECRET.keys() | OTHERS.keys()
    configuration = json.loads(compose("--profile", "*", "config", "--format", "json"))["services"]
    assert configuration["grafana"]["environment"]["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert configuration["grafana"]["environment"]["GF_USERS_ALLOW_SIGN_UP"] == "false"


def test_inside_every_service_refuses_what_lacks_its_secret_and_answers_what_has_it(insurance: None) -> None:
    known = secrets()
    headers = {
        "service": f"Bearer {known['SERVICE_SECRET']}",
        "shared": basic("scorehouse", known["SERVICE_SECRET"]),
        "mlflow": basic("scorehouse", known["MLFLOW_TRACKING_PASSWORD"]),
        "prefect": basic(*known["PREFECT_API_AUTH_STRING"].split(":", 1)),
    }
    address = {name: f"http://{name}:{port}{path}" for name, (port, path, _) in NEED_A_SECRET.items()}
    until(
        "the pages of insurance listen", lambda: "refused" not in str(ask_inside({"w": (address["web_service"], {})}))
    )
    assert ask_inside({name: (address[name], {}) for name in address}) == dict.fromkeys(address, 401)
    sent = {name: headers[kind] for name, (_, _, kind) in NEED_A_SECRET.items()}
    wrong = ask_inside({name: (address[name], {"Authorization": sent[name][:-4]}) for name in address})
    assert wrong == dict.fromkeys(address, 401)
    right = ask_inside({name: (address[name], {"Authorization": sent[name]}) for name in address})
    assert right == dict.fromkeys(address, 200)


def listening(container: Mapping[str, Any]) -> set[tuple[str, int]]:
    """Return where a container's processes listen, but for what only the container itself reaches: (address, port)."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{container['State']['Pid']}/net/{name}").read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            digits, _, port = local.partition(":")
            words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)]  # each in host order
            address = ipaddress.ip_address(b"".join(words))
            if state == "0A" and not address.is_loopback:
                found.add(("" if address.is_unspecified else str(address), int(port, 16)))
    return found


def test_inside_every_port_that_answers_without_a_secret_is_known_here(insurance: None) -> None:
    ports = {(name, *where) for name, about in containers().items() for where in listening(about)}
    answering = {name: port for name, (port, _, _) in NEED_A_SECRET.items()}
    assert answering.items() <= {(name, port) for name, _, port in ports}, "the processes' ports were not found"
    path = {name: path for name, (_, path, _) in NEED_A_SECRET.items()}
    asked = {
        f"{name} {port}": (f"http://{address or name}:{port}{path.get(name, '/')}", {})
        for name, address, port in ports
        if (name, port) not in DATABASES
    }
    status = {where: status for where, status in ask_inside(asked).items() if isinstance(status, int)}
    assert status == {f"{name} {port}": 401 for name, port in answering.items()} | {"worker 8080": 404}


def test_inside_no_process_uses_the_ports_that_need_no_key(stack: str) -> None:
    networks = {name: containers()[name]["NetworkSettings"]["Networks"] for name in ("gateway", "reports")}
    border = {
        name: next(about["IPAddress"] for network, about in joined.items() if network.endswith("_border"))
        for name, joined in networks.items()
    }
    ports = {"gateway": 9696, "reports": 5051}
    asked = {name: (f"http://{name}:{port}/", {}) for name, port in ports.items()}
    asked |= {f"{name} by address": (f"http://{border[name]}:{port}/", {}) for name, port in ports.items()}
    asked["emulator"] = ("http://localstack:4566/_localstack/health", {})
    assert not {name: status for name, status in ask_inside(asked).items() if isinstance(status, int)}


def test_the_databases_ask_for_their_passwords(stack: str) -> None:
    read = "import sys, pymongo; pymongo.MongoClient(sys.stdin.read())['scorehouse']['predictions'].find_one()"
    command = ("exec", "-T", "shipper", "python", "-c", read)
    assert "requires authentication" in fails(*command, given="mongodb://mongodb:27017")
    assert "Authentication failed" in fails(*command, given="mongodb://scorehouse:wrong@mongodb:27017")
    compose(*command, given=f"mongodb://scorehouse:{secrets()['MONGODB_PASSWORD']}@mongodb:27017")
    psql = ("psql", "-h", "postgres", "-U", "scorehouse", "-d", "mlflow", "-w", "-c", "SELECT 1")
    assert "no password supplied" in fails("exec", "-T", "postgres", *psql)


def test_no_secret_is_in_a_log_or_in_the_arguments_of_a_process(stack: str) -> None:
    values = {name: value.rpartition(":")[2] for name, value in secrets().items()}
    logs = compose("logs", "--no-color")
    processes = compose("top")
    assert [name for name, value in values.items() if value in logs] == []
    assert [name for name, value in values.items() if value in processes] == []


def test_a_service_that_starts_again_is_found_again_and_only_its_own_port_noticed(stack: str) -> None:
    compose("stop", "monitor")
    try:
        gone = requests.get(f"http://{HOST}:8085/", timeout=10)
        assert gone.status_code == 503 and "monitor" in gone.text
        assert requests.get(f"http://{HOST}:9696/readyz", timeout=10).status_code == 200
    finally:
        compose("rm", "--force", "monitor")
        make("start-serve", seconds=300)  # a new container, with an address of its own
    until("the monitor answers", lambda: requests.get(f"http://{HOST}:8085/", timeout=5).status_code == 200, 120)
