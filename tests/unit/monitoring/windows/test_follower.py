"""The follower continues from its cursor, loses nothing, counts nothing twice, and keeps runs separate."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from prometheus_client import REGISTRY

from monitoring.evidently_service.windows.cursor import Cursor, MonitorFolder
from monitoring.evidently_service.windows.follower import Follower
from scorehouse.errors import RegistryUnavailable, StoreUnavailable
from scorehouse.stores.sqlite_store import SqliteStore
from tests.unit.monitoring.house import NOON, OTHER, RUN, USE_CASE, FakeCache, FakeStore, bundle, documents, records


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = NOON + 1000

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def follower(store: FakeStore, folder: Path, clock: Clock, cache: FakeCache | None = None) -> Follower:
    return Follower(USE_CASE, store, cache or FakeCache(), MonitorFolder(folder), clock)  # type: ignore[arg-type]


def shown(name: str, run: str = RUN, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"dataset_name": "house", "model_run_id": run, **labels})


def test_a_restart_continues_where_the_last_process_stopped(store: FakeStore, tmp_path: Path, clock: Clock) -> None:
    store.add(documents(records(300)))
    first = follower(store, tmp_path, clock)
    assert (first.poll(), first.poll()) == (300, 0)
    store.add(documents(records(50), 301))
    second = follower(store, tmp_path, clock)
    assert second.poll() == 50
    assert second.watches[0].window.numbers.tolist() == list(range(1, 351))


def test_a_crash_between_a_runs_file_and_the_cursor_counts_nothing_twice(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(300)))
    follower(store, tmp_path, clock).poll()
    MonitorFolder(tmp_path).save(Cursor(seq=100))
    again = follower(store, tmp_path, clock)
    again.poll()
    assert again.watches[0].window.numbers.tolist() == list(range(1, 301))
    assert sum(again.watches[0].minutes.counts.values()) == 300


def test_each_run_has_a_window_of_its_own_across_a_change_of_run(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(300)) + documents(records(150, drift=1), 301, OTHER, NOON + 300))
    one = follower(store, tmp_path, clock, FakeCache(RUN, OTHER))
    one.poll()
    assert {w.run_id: len(w.window) for w in one.watches} == {OTHER: 150, RUN: 300}
    assert shown("evidently:data_drift:dataset_drift") == 0
    assert shown("scorehouse_window_records", OTHER) == 150


def test_while_mlflow_is_down_a_new_runs_records_wait_and_are_read_later(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    cache = FakeCache()
    cache.fails = RegistryUnavailable("MLflow is not responding")
    store.add(documents(records(130)))
    one = follower(store, tmp_path, clock, cache)
    with pytest.raises(RegistryUnavailable):
        one.poll()
    cache.fails = None
    one.poll()
    assert len(one.watches[0].window) == 130


def test_a_run_that_mlflow_does_not_know_is_reported_and_stops_nothing(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(10), 1, OTHER) + documents(records(130), 11))
    one = follower(store, tmp_path, clock)
    one.poll()
    assert [w.run_id for w in one.watches] == [RUN]
    assert list(one.unwatched) == [OTHER]
    assert shown("scorehouse_unwatched_run", OTHER) == 1


def test_a_run_that_could_not_be_watched_is_tried_again_while_it_has_traffic(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    cache, steady = FakeCache(RUN), [0.0]
    one = Follower(
        USE_CASE,
        store,
        cache,
        MonitorFolder(tmp_path),
        clock,
        steady_clock=lambda: steady[0],  # type: ignore[arg-type]
    )
    store.add(documents(records(10), 1, OTHER))
    one.poll()
    assert list(one.unwatched) == [OTHER]
    cache.bundles[OTHER] = bundle(OTHER)  # its bundle was repaired
    store.add(documents(records(10), 11, OTHER))
    steady[0] = 9.0
    one.poll()
    assert list(one.unwatched) == [OTHER]
    cache.fails = RegistryUnavailable("MLflow is down")  # which holds the other runs up no longer
    steady[0] = 10.0
    store.add(documents(records(10), 21, OTHER))
    assert one.poll() == 10
    cache.fails = None
    steady[0] = 30.0
    store.add(documents(records(10), 31, OTHER))
    one.poll()
    assert one.unwatched == {} and shown("scorehouse_unwatched_run", OTHER) == 0
    assert one.watches[0].window.numbers.tolist() == list(range(31, 41))


def test_a_run_without_traffic_for_a_day_has_no_series_and_comes_back_with_an_outcome(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(300)))
    one = follower(store, tmp_path, clock)
    one.poll()
    assert shown("evidently:data_drift:p_value", feature="limit", feature_type="num") is not None
    clock.now += 90_000
    one.poll()
    assert one.watches == []
    assert shown("evidently:data_drift:p_value", feature="limit", feature_type="num") is None
    assert shown("scorehouse_window_records") is None
    store.set_outcomes(range(1, 51), 1.0, at=clock.now)
    store.set_outcomes(range(51, 101), 0.0, at=clock.now)
    one.poll()
    assert len(one.watches[0].window) == 300
    assert shown("scorehouse_quality_records", source="outcomes") == 100


def test_late_and_corrected_outcomes_change_the_quality_of_their_own_run(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(700)) + documents(records(300), 701, OTHER))
    one = follower(store, tmp_path, clock, FakeCache(RUN, OTHER))
    one.poll()
    store.set_outcomes(range(1, 21), 1.0)
    store.set_outcomes(range(21, 41), 0.0)
    one.poll()
    assert shown("scorehouse_quality_records", source="outcomes") == 40
    assert shown("scorehouse_quality_records", OTHER, source="outcomes") == 0
    before = shown("scorehouse_quality", figure="mean_true", source="outcomes")
    store.set_outcomes(range(21, 31), 1.0)
    one.poll()
    assert shown("scorehouse_quality_records", source="outcomes") == 40
    assert (before, shown("scorehouse_quality", figure="mean_true", source="outcomes")) == (0.5, 0.75)


def test_a_store_that_is_not_the_one_that_was_read_is_read_from_its_beginning(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(300)))
    follower(store, tmp_path, clock).poll()
    replaced = FakeStore()
    replaced.add(documents(records(20)))
    one = follower(replaced, tmp_path, clock)
    assert one.poll() == 20
    assert len(one.watches[0].window) == 20


def test_the_newest_record_may_be_erased_or_expire_and_nothing_is_forgotten(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(300)))
    follower(store, tmp_path, clock).poll()
    last = store.identity()
    erased = FakeStore()
    erased.add(documents(records(299)))
    erased.identity = lambda: last  # type: ignore[method-assign]
    one = follower(erased, tmp_path, clock)
    assert one.poll() == 0
    assert len(one.watches[0].window) == 300
    erased.predictions.clear()
    assert follower(erased, tmp_path, clock).poll() == 0


def test_another_store_is_noticed_though_its_numbers_are_higher_and_though_the_monitor_runs(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(300)))
    follower(store, tmp_path, clock).poll()
    other = FakeStore()
    other.add(documents(records(400, seed=4)))
    assert follower(other, tmp_path, clock).poll() == 400
    one = follower(store, tmp_path / "running", clock)
    assert one.poll() == 300
    store.predictions, store.store_id = other.predictions, other.store_id
    assert one.poll() == 400
    assert one.watches[0].window.numbers.tolist() == list(range(1, 401))


def test_a_cursor_of_an_older_version_is_continued(store: FakeStore, tmp_path: Path, clock: Clock) -> None:
    store.add(documents(records(300)))
    follower(store, tmp_path, clock).poll()
    (tmp_path / "cursor.json").write_bytes(b'{"seq":300,"outcome_seq":0}')
    again = follower(store, tmp_path, clock)
    assert again.poll() == 0 and len(again.watches[0].window) == 300
    store.add(documents(records(10), 301))
    assert again.poll() == 10
    assert MonitorFolder(tmp_path).cursor().store_id == store.store_id


def test_the_rejected_share_is_of_all_records_of_the_last_quarter_of_an_hour(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    store.add(documents(records(60), at=clock.now - 300))
    minute = int(clock.now // 60)
    count = {"use_case": "house", "model_run_id": RUN, "door": "http"}
    store.rejected = [
        {**count, "minute": minute - 2, "records": 20, "reasons": [{"reason": "limit is missing", "records": 20}]},
        {**count, "minute": minute - 15, "records": 500, "reasons": []},
    ]
    one = follower(store, tmp_path, clock)
    one.poll()
    assert one.watches[0].recent.reasons == {"limit is missing": 20}
    assert shown("scorehouse_rejected_share") == 0.25
    assert shown("scorehouse_recent_records") == 80


def test_while_the_store_is_down_the_problem_is_shown_and_the_waits_grow(
    store: FakeStore, tmp_path: Path, clock: Clock
) -> None:
    waits: list[float] = []
    problems: list[str | None] = []

    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            problems.append(one.problem)
            store.fails = None if len(waits) > 5 else StoreUnavailable("the store is down")
            return len(waits) > 7

    store.fails = StoreUnavailable("the store is down")
    one = follower(store, tmp_path, clock)
    one.run(Stop())
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 1.0, 1.0]
    assert problems == ["the store is down"] * 6 + [None] * 2
    assert one.problem is None


def test_an_error_that_nobody_foresaw_is_shown_and_reading_goes_on(
    store: FakeStore, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, up = Event(), list[float | None]()

    def fail_once(seconds: float | None = None) -> bool:
        up.append(REGISTRY.get_sample_value("scorehouse_monitor_up", {"dataset_name": "house"}))
        problems.append(one.problem)
        monkeypatch.undo()
        return len(up) == 2

    problems: list[str | None] = []
    one = follower(store, tmp_path, clock)
    monkeypatch.setattr(store, "waiting_outcomes", lambda: {}["outcomes"])
    stop.wait = fail_once  # type: ignore[method-assign]
    one.run(stop)
    assert problems == ["KeyError('outcomes')", None]
    assert up == [0.0, 1.0]


def test_damaged_files_are_ignored_and_everything_is_read_again(store: FakeStore, tmp_path: Path, clock: Clock) -> None:
    store.add(documents(records(300)))
    follower(store, tmp_path, clock).poll()
    for path in tmp_path.glob("*.json"):
        path.write_bytes(path.read_bytes()[:20])
    one = follower(store, tmp_path, clock)
    assert one.poll() == 300
    assert len(one.watches[0].window) == 300


def test_tests_are_in_no_window(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "predictions.db")
    of_store = [{**d, "customer_id": None} for d in documents(records(4))]
    store.add([{**document, "test": i < 2} for i, document in enumerate(of_store)])
    clock.now = NOON + 60
    one = follower(store, tmp_path / "monitor", clock)  # type: ignore[arg-type]
    one.poll()
    assert one.watches[0].window.numbers.tolist() == [3, 4]
    assert shown("scorehouse_recent_records") == 2
    store.close()


def test_a_door_whose_clock_is_far_ahead_empties_no_window(store: FakeStore, tmp_path: Path, clock: Clock) -> None:
    store.add(documents(records(300)))
    store.add(documents(records(1, seed=2), 301, at=NOON + 30 * 86_400))
    store.add(documents(records(20, seed=3), 302, at=NOON + 400))
    store.add(documents(records(1, seed=4), 322, at=clock.now + 60))  # a clock may be a little ahead
    one = follower(store, tmp_path, clock)
    one.poll()
    [watch] = one.watches
    assert watch.window.numbers.tolist() == list(range(1, 323))
    assert (watch.window.times.max(), watch.traffic_at) == (clock.now + 60, clock.now + 60)
    store.set_outcomes([1], 1.0, at=NOON + 30 * 86_400)
    one.poll()
    assert watch.traffic_at == clock.now + 60
