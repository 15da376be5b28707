"""`make erase` without Docker: the command against a journal and each store."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from scorehouse.environment import read_settings
from scorehouse.journal.journal import Journal
from scorehouse.journal.shipper import Shipper
from scorehouse.settings import Settings
from scorehouse.stores.mongo_store import DATABASE
from scorehouse.stores.open import open_store
from scorehouse.stores.store import Document
from tests.toy import ROOT
from tests.unit.scorehouse.journal.test_shipper import line


def erase(environ: dict[str, str], *customer_id: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server.erase", *customer_id],
        cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def shipped(settings: Settings) -> list[str]:
    """Ship as a process does that starts anew, and return what is stored then."""
    store: Any = open_store(settings)
    with Shipper(settings.journal_folder, store) as shipper, closing(store):
        shipper.ship()
        return [p["prediction_id"] for p in store.predictions_after("churn", 0, 10)]


@pytest.fixture(params=["sqlite", "mongodb"])
def environ(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    if request.param == "sqlite":
        return {"DATA_FOLDER": str(tmp_path), "MONGODB_ADDRESS": ""}
    address = request.getfixturevalue("mongodb_address")
    with MongoClient[Document](address) as client:
        client.drop_database(DATABASE)
    return {"DATA_FOLDER": str(tmp_path), "MONGODB_ADDRESS": address}


def test_a_customer_is_erased_from_journal_and_store_and_it_is_told_what_was_there(environ: dict[str, str]) -> None:
    settings = read_settings(environ)
    journal = Journal(settings.journal_folder, "http")
    journal.append(line("one", customer_id=7) + line("two", customer_id=8))
    assert shipped(settings) == ["one", "two"]
    journal.append(line("three", customer_id="7"))
    shadow = settings.monitor_folder / "churn" / "shadow-a.jsonl"
    shadow.parent.mkdir(parents=True)
    shadow.write_bytes(line("one") + line("two"))
    done = erase(environ, "7")
    assert done.returncode == 0, done.stderr
    assert b'"one"' not in shadow.read_bytes() and shadow.read_bytes().endswith(line("two"))
    assert done.stdout.startswith("customer 7: 1 predictions removed") and "2 lines erased" in done.stdout
    assert shipped(settings) == ["two"]


def test_a_wrong_folder_is_no_unknown_customer(tmp_path: Path) -> None:
    done = erase({"DATA_FOLDER": str(tmp_path / "elsewhere")}, "7")
    assert done.returncode == 1 and "DATA_FOLDER" in done.stderr and not (tmp_path / "elsewhere").exists()


def test_a_store_that_is_down_is_told(tmp_path: Path) -> None:
    Journal(tmp_path / "journal", "http").append(line("one", customer_id=7))
    done = erase({"DATA_FOLDER": str(tmp_path), "MONGODB_ADDRESS": "mongodb://127.0.0.1:9"}, "7")
    assert done.returncode == 1 and "is not responding" in done.stderr and "Traceback" not in done.stderr


def test_whom_must_be_said(tmp_path: Path) -> None:
    assert erase({"DATA_FOLDER": str(tmp_path)}).returncode == 2
