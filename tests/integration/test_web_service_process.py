"""The web pages as a process: stalled clients, signals, and the command that loads customers."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import pytest
import requests

from tests import toy as toys
from tests.toy import HOST, ROOT, Scorer, free_port, until
from use_cases.insurance import use_case
from web_service.offers.sqlite_store import SqliteStore

HALF_HEAD = b"POST /newc HTTP/1.1\r\nHost: a\r\nContent-"
HALF_BODY = b"POST /newc HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nPower="


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Scorer]:
    """The pages with sample customers; no stream answers."""
    port = free_port()
    environ = {
        "USE_CASE": "insurance",
        "DATA": "",
        "DATA_FOLDER": str(tmp_path),
        "WEB_SERVICE_PORT": str(port),
        "KINESIS_ADDRESS": f"http://{HOST}:9",
        "MONGODB_ADDRESS": "",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "WEB_SERVICE_PROXIES": "1",
    }
    pages = Scorer("web_service", environ, tmp_path / "pages.log", url=f"http://{HOST}:{port}")
    with toys.running(pages):
        yield pages


def stall(pages: Scorer, stack: ExitStack, sent: bytes, count: int) -> None:
    for _ in range(count):
        client = stack.enter_context(socket.create_connection((HOST, int(pages.environ["WEB_SERVICE_PORT"]))))
        client.sendall(sent)


def test_fifty_stalled_clients_delay_nobody(pages: Scorer) -> None:
    with ExitStack() as stack:
        stall(pages, stack, HALF_HEAD, 25)
        stall(pages, stack, HALF_BODY, 25)
        for _ in range(20):
            since = time.monotonic()
            assert requests.get(f"{pages.url}/newc", timeout=10).ok
            assert time.monotonic() - since < 2


def test_an_address_that_guesses_locks_a_customer_for_itself_alone(pages: Scorer, tmp_path: Path) -> None:
    def customers() -> SqliteStore:
        return SqliteStore(tmp_path / "web_service" / "customers.db")

    customer = until(lambda: customers().made_up_customer(), 30, "the sample customers are there")
    statuses = [identify_as(pages, customer["ID"], "1911-01-01", "203.0.113.9") for _ in range(7)]
    assert statuses == [403] * 5 + [429] * 2
    assert identify_as(pages, customer["ID"], customer["Date_birth"], "203.0.113.9") == 429
    assert identify_as(pages, customer["ID"], customer["Date_birth"], "192.0.2.1") == 303


def identify_as(pages: Scorer, number: str, birth: str, address: str) -> int:
    """Send a form as a browser behind a proxy does; return the status."""
    browser = requests.Session()
    browser.headers["X-Forwarded-For"] = address
    form = browser.get(f"{pages.url}/existingc", timeout=10).text
    (token,) = re.findall(r'name="token" value="([^"]+)"', form)
    vehicle = {
        "Type_risk": "3", "Year_matriculation": "2008", "Power": "90", "Cylinder_capacity": "1600",
        "Value_vehicle": "17600", "Type_fuel": "P", "Area": "0", "Second_driver": "0", "Date_renewal": "2026-12-01",
    }  # fmt: skip
    typed = {**vehicle, "token": token, "customer_id": number, "Date_birth": birth}
    return browser.post(f"{pages.url}/existingc", data=typed, timeout=10, allow_redirects=False).status_code


def test_a_signal_ends_the_pages_with_status_0_and_a_kill_loses_nothing(pages: Scorer) -> None:
    assert pages.process.poll() is None
    pages.process.send_signal(signal.SIGTERM)
    assert pages.process.wait(15) == 0
    assert "Traceback" not in pages.said()
    pages.start()
    pages.wait_ready()
    pages.kill()
    pages.start()
    pages.wait_ready()


def test_the_command_loads_a_table_in_place_of_the_sample_customers(tmp_path: Path) -> None:
    table = pd.DataFrame(use_case.sample(50, 3, 0.0)).assign(ID=lambda t: t["ID"] + 1000)
    table.to_csv(tmp_path / "real.csv", sep=";", index=False)
    environ = {"USE_CASE": "insurance", "DATA": "", "DATA_FOLDER": str(tmp_path), "MONGODB_ADDRESS": ""}
    command = [sys.executable, "-m", "web_service.customers", str(tmp_path / "real.csv")]
    loaded = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True)
    assert loaded.stdout.endswith("customers are known to the web pages\n")
    store = SqliteStore(tmp_path / "web_service" / "customers.db")
    assert store.customer("1001") is not None and not store.has_customers(made_up=True)
    store.close()
    command[-1] = str(tmp_path / "missing.csv")
    failed = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert failed.returncode == 1 and "missing.csv cannot be loaded" in failed.stderr
