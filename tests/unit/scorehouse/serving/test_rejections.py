"""What a door rejects is counted by minute and reason, and says nothing of a value."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scorehouse.errors import JournalError
from scorehouse.scoring.schema import FieldError, Rejected
from scorehouse.serving import rejections as module
from scorehouse.serving.rejections import MOST_REASONS, OTHER, Rejections, reasons
from tests.processes import until

NOON = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
TOO_OLD = Rejected((FieldError("customer_age", 333, "is not allowed", "a whole number from 18 to 120"),))
ODD = Rejected(
    (
        FieldError("my_secret_name", "Ann", "is not a known field", "a field of this model"),
        FieldError("credit_limit", None, "is missing", "a number"),
    )
)


def test_reasons_name_fields_of_the_model_and_never_a_value_or_a_clients_own_name() -> None:
    assert reasons(TOO_OLD) == {"customer_age is not allowed"}
    assert reasons(ODD) == {"is not a known field", "credit_limit is missing"}
    assert reasons(Rejected((FieldError("", None, "is not JSON: unexpected character", "an object"),))) == {
        "is not JSON"
    }


def door(written: list[bytes] | None = None) -> Rejections:
    return Rejections("churn", "http", (written if written is not None else []).append)


def lines(written: Sequence[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(written).splitlines()]


@pytest.fixture
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.0)


@pytest.mark.usefixtures("always_due")
def test_a_line_carries_its_minutes_count_so_far_under_one_id() -> None:
    rejections = door()
    first = json.loads(rejections.add("a" * 32, NOON, [TOO_OLD]))
    second = json.loads(rejections.add("a" * 32, NOON + timedelta(seconds=20), [TOO_OLD, ODD]))
    assert first["id"] == second["id"]
    assert (first["records"], second["records"]) == (1, 3)
    assert {"reason": "customer_age is not allowed", "records": 2} in second["reasons"]
    assert second["minute"] == NOON.timestamp() // 60


@pytest.mark.usefixtures("always_due")
def test_another_minute_run_or_process_counts_anew_under_an_id_of_its_own() -> None:
    rejections = door()
    parsed = lines(
        [
            rejections.add("a" * 32, NOON, [TOO_OLD]),
            rejections.add("a" * 32, NOON + timedelta(minutes=1), [TOO_OLD]),
            rejections.add("b" * 32, NOON + timedelta(minutes=1), [TOO_OLD]),
            door().add("b" * 32, NOON + timedelta(minutes=1), [TOO_OLD]),
        ]
    )
    assert [p["records"] for p in parsed] == [1, 1, 1, 1]
    assert len({p["id"] for p in parsed}) == 4


def test_a_thousand_refusals_of_a_second_are_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.3)
    written: list[bytes] = []
    rejections = door(written)
    first = [rejections.add("a" * 32, NOON, [TOO_OLD]) for _ in range(1000)]
    assert [line["records"] for line in lines(first)] == [1]
    until(lambda: written, 5, "the counts are written")
    assert [line["records"] for line in lines(written)] == [1000]


def test_counts_that_wait_are_written_with_the_next_minutes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    rejections = door(written)
    rejections.add("a" * 32, NOON, [TOO_OLD])
    assert rejections.add("a" * 32, NOON, [TOO_OLD]) == b""
    late = lines([rejections.add("a" * 32, NOON + timedelta(minutes=1), [TOO_OLD])])
    assert [(line["minute"] - NOON.timestamp() // 60, line["records"]) for line in late] == [(0, 2)]
    until(lambda: written, 5, "the next minute's counts are written")
    assert [line["records"] for line in lines(written)] == [1]


@pytest.mark.usefixtures("always_due")
def test_the_reasons_of_a_minute_are_bounded_and_every_record_is_counted() -> None:
    rejections = door()
    for i in range(200):
        line = rejections.add("a" * 32, NOON, [Rejected((FieldError(f"field{i}", None, "is missing", "a number"),))])
    parsed = json.loads(line)
    assert len(parsed["reasons"]) == MOST_REASONS + 1
    assert parsed["reasons"][-1] == {"reason": OTHER, "records": 200 - MOST_REASONS}
    assert parsed["records"] == 200


def test_a_journal_that_cannot_be_written_loses_a_seconds_counts_and_no_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: bytes) -> None:
        raise JournalError("the disk is full")

    monkeypatch.setattr(module, "SECONDS", 0.1)
    rejections = Rejections("churn", "http", refuse)
    rejections.add("a" * 32, NOON, [TOO_OLD])
    rejections.add("a" * 32, NOON, [TOO_OLD])
    until(lambda: "the disk is full" in caplog.text, 5, "the failure is logged")
