"""What a door rejects is counted by minute and reason, and says nothing of a value."""

import json
from datetime import UTC, datetime, timedelta

from scorehouse.scoring.schema import FieldError, Rejected
from scorehouse.serving.rejections import Rejections, reasons

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


def test_a_line_carries_its_minutes_count_so_far_under_one_id() -> None:
    rejections = Rejections("churn", "http")
    first = json.loads(rejections.line("a" * 32, NOON, [TOO_OLD]))
    second = json.loads(rejections.line("a" * 32, NOON + timedelta(seconds=20), [TOO_OLD, ODD]))
    assert first["id"] == second["id"]
    assert (first["records"], second["records"]) == (1, 3)
    assert {"reason": "customer_age is not allowed", "records": 2} in second["reasons"]
    assert second["minute"] == NOON.timestamp() // 60


def test_another_minute_run_or_process_counts_anew_under_an_id_of_its_own() -> None:
    rejections = Rejections("churn", "http")
    lines = [
        rejections.line("a" * 32, NOON, [TOO_OLD]),
        rejections.line("a" * 32, NOON + timedelta(minutes=1), [TOO_OLD]),
        rejections.line("b" * 32, NOON + timedelta(minutes=1), [TOO_OLD]),
        Rejections("churn", "http").line("b" * 32, NOON + timedelta(minutes=1), [TOO_OLD]),
    ]
    parsed = [json.loads(line) for line in lines]
    assert [p["records"] for p in parsed] == [1, 1, 1, 1]
    assert len({p["id"] for p in parsed}) == 4
