"""A challenger scores a steady share of the answered records; its answers are logged and compared."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import orjson
import pytest

from monitoring.evidently_service import challenger as module
from monitoring.evidently_service.challenger import Challenger
from monitoring.evidently_service.windows.cursor import Cursor
from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import BundleError
from scorehouse.registry.client import Registry, Version
from scorehouse.scoring.figures import auc
from scorehouse.stores.sqlite_store import SqliteStore
from tests import toy as toys
from tests.toy import OTHER_RUN_ID, RUN_ID, Toy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC).isoformat()


class FakeCache(BundleCache):
    """The toy's bundle for the challenger."""

    def __init__(self, folder: Path, toy: Toy):
        super().__init__(folder, Registry("http://registry"), Trust(()))
        self.toy, self.fault = toy, False

    def ask(self, use_case: str, wanted: str) -> Version:
        return Version("2", wanted, None)

    def load(self, version: Version) -> Any:
        if self.fault:
            raise BundleError("it is damaged")
        return self.toy.bundle()


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "predictions.db")


@pytest.fixture
def cache(toy: Toy, tmp_path: Path) -> FakeCache:
    return FakeCache(tmp_path / "bundles", toy)


def answered(store: SqliteStore, records: list[dict[str, Any]], first: int = 0, run_id: str = RUN_ID) -> None:
    store.add(
        [
            {"prediction_id": f"p{i}", "use_case": "churn", "model_run_id": run_id, "created_at": NOW, "door": "http",
             "record": record, "prediction": 0.25, "customer_id": None}
            for i, record in enumerate(records, first)
        ]
    )  # fmt: skip


def challenger(store: SqliteStore, cache: FakeCache, tmp_path: Path, share: float = 1.0, start: int = 0) -> Challenger:
    return Challenger(
        cache.toy.use_case, store, cache, OTHER_RUN_ID, share, tmp_path / "shadow.jsonl", Cursor(start, 0)
    )


def value(metric: Any, *labels: str) -> float:
    return float(metric.labels("churn", OTHER_RUN_ID, *labels)._value.get())


def test_tests_are_not_compared(
    store: SqliteStore, cache: FakeCache, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    tried = {
        "prediction_id": "tried", "use_case": "churn", "model_run_id": RUN_ID, "created_at": NOW, "door": "http",
        "record": toy_records[0], "prediction": 0.25, "customer_id": None, "test": True,
    }  # fmt: skip
    store.add([tried])
    answered(store, toy_records[:1])
    one = challenger(store, cache, tmp_path)
    one.poll()
    assert [pair.prediction_id for pair in one.pairs] == ["p0"]


def test_the_challengers_answers_are_logged_with_the_given_ones(
    store: SqliteStore, cache: FakeCache, toy: Toy, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    answered(store, toy_records)
    one = challenger(store, cache, tmp_path)
    assert one.poll() == len(toy_records)
    assert one.poll() == 0
    expected = toy.bundle().scorer(toy.use_case).score(toy_records)
    lines = [orjson.loads(line) for line in (tmp_path / "shadow.jsonl").read_bytes().splitlines()]
    assert [line["challenger"] for line in lines] == expected
    assert {(line["champion"], line["champion_run_id"], line["run_id"]) for line in lines} == {
        (0.25, RUN_ID, OTHER_RUN_ID)
    }
    difference = np.array(expected, dtype=float) - 0.25
    assert value(metrics.SHADOW_DIFFERENCE, "mean") == pytest.approx(difference.mean())
    assert value(metrics.SHADOW_DIFFERENCE, "mean_absolute") == pytest.approx(np.abs(difference).mean())


def test_the_share_is_kept_and_chooses_the_same_records_each_time(
    store: SqliteStore, cache: FakeCache, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    for first in range(0, 1000, 200):
        answered(store, toy_records, first)
    chosen = []
    for _ in range(2):
        one = challenger(store, cache, tmp_path, share=0.1)
        while one.poll():
            pass
        chosen.append([pair.prediction_id for pair in one.pairs])
    assert chosen[0] == chosen[1] and 70 < len(chosen[0]) < 130


def test_earlier_records_and_those_that_the_challenger_answered_itself_are_left_out(
    store: SqliteStore, cache: FakeCache, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    answered(store, toy_records[:10])
    answered(store, toy_records[:10], 10, OTHER_RUN_ID)
    answered(store, toy_records[:10], 20)
    one = challenger(store, cache, tmp_path, start=10)
    one.poll()
    assert [pair.prediction_id for pair in one.pairs] == [f"p{i}" for i in range(20, 30)]


def test_outcomes_judge_both_on_the_same_records(
    store: SqliteStore, cache: FakeCache, toy: Toy, tmp_path: Path
) -> None:
    table = toys.table(toy.use_case, 300, seed=11)
    answered(store, table.records)
    one = challenger(store, cache, tmp_path)
    one.poll()
    known = [
        {"prediction_id": f"p{i}", "use_case": "churn", "outcome": int(t), "outcome_at": NOW}
        for i, t in enumerate(table.truth)
    ]
    store.add_outcomes(known)
    one.poll()
    theirs = np.array([pair.challenger for pair in one.pairs])
    assert value(metrics.SHADOW_QUALITY, "auc", "challenger") == pytest.approx(auc(table.truth, theirs))
    assert value(metrics.SHADOW_QUALITY, "auc", "champion") == 0.5


def test_a_record_that_the_challenger_cannot_score_is_counted_and_skipped(
    store: SqliteStore, cache: FakeCache, toy_records: list[dict[str, Any]], tmp_path: Path
) -> None:
    before = value(metrics.SHADOW_REJECTED)
    answered(store, [{"gender": "X"}, *toy_records[:3]])
    one = challenger(store, cache, tmp_path)
    one.poll()
    assert len(one.pairs) == 3
    assert value(metrics.SHADOW_REJECTED) == before + 1


def test_a_challenger_that_cannot_be_loaded_is_an_error(store: SqliteStore, cache: FakeCache, tmp_path: Path) -> None:
    cache.fault = True
    with pytest.raises(BundleError):
        challenger(store, cache, tmp_path).poll()


def test_a_new_log_file_begins_before_the_old_one_grows_without_end(
    store: SqliteStore, cache: FakeCache, toy_records: list[dict[str, Any]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(module, "LONGEST_LOG", 1000)
    one = challenger(store, cache, tmp_path)
    for first in (0, 20, 40):
        answered(store, toy_records[:20], first)
        one.poll()
    assert len((tmp_path / "shadow.jsonl").read_bytes().splitlines()) == 20
    assert len((tmp_path / "shadow.old.jsonl").read_bytes().splitlines()) == 20


def test_a_challenger_that_can_be_loaded_later_is_tried_again(
    store: SqliteStore, cache: FakeCache, toy_records: list[dict[str, Any]], tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    class Stop(Event):
        """Never waits: the bundle is repaired after the first poll, and the third is the last."""

        polls = 0

        def wait(self, timeout: float | None = None) -> bool:
            cache.fault = False
            self.polls += 1
            return self.polls == 3

    cache.fault = True
    answered(store, toy_records[:10])
    one = challenger(store, cache, tmp_path)
    one.follow(Stop()).join(10)
    assert len(one.pairs) == 10
    assert "scoring with the run in SHADOW_RUN_ID failed: it is damaged" in caplog.text
