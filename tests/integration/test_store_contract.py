"""What every prediction store must do, held against SQLite and against a real MongoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from scorehouse.stores.mongo_store import DATABASE, MongoStore
from scorehouse.stores.sqlite_store import SqliteStore
from scorehouse.stores.store import Document, Identity, Key, Store

OpenStore = Callable[[], Store]


@pytest.fixture(params=["sqlite", "mongodb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """A function that opens one and the same empty store, as several processes would."""
    opened: list[Any] = []
    if request.param == "mongodb":
        address = request.getfixturevalue("mongodb_address")
        with MongoClient[Document](address) as client:
            client.drop_database(DATABASE)

    def open_one() -> Store:
        one: Any = SqliteStore(tmp_path / "p.db") if request.param == "sqlite" else MongoStore(address)
        opened.append(one)
        return one  # type: ignore[no-any-return]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture
def store(open_store: OpenStore) -> Store:
    return open_store()


def prediction(id_: str, record: dict[str, Any] | None = None, **fields: Any) -> Document:
    return {
        "kind": "prediction",
        "prediction_id": id_,
        "use_case": "churn",
        "model_run_id": "a" * 32,
        "created_at": "2026-11-21T06:04:38.123000+00:00",
        "door": "http",
        "record": {"customer_age": 50, "gender": "M", "credit_limit": 4000.5, "income": None}
        if record is None
        else record,
        "prediction": 0.25,
        "customer_id": None,
        **fields,
    }


def outcome(id_: str, value: float, at: int = 1, **fields: Any) -> Document:
    when = f"2026-11-21T07:00:{at:02d}+00:00"
    about = {"kind": "outcome", "prediction_id": id_, "use_case": "churn", "outcome": value, "outcome_at": when}
    return {**about, **fields}


def key(id_: str, use_case: str = "churn") -> Key:
    return Key(use_case, id_)


def all_of(store: Store) -> list[Document]:
    return store.predictions_after("churn", 0, 1_000_000)


def test_the_chances_of_several_classes_come_back_as_they_were_given(store: Store) -> None:
    store.add([prediction("one", prediction=[0.25, 0.5, 0.25]), prediction("two")])
    assert [p["prediction"] for p in all_of(store)] == [[0.25, 0.5, 0.25], 0.25]


def test_a_prediction_comes_back_as_it_was_given(store: Store) -> None:
    store.add([prediction("one", customer_id="c-7")])
    (found,) = all_of(store)
    expected = {k: v for k, v in prediction("one", customer_id="c-7").items() if k != "kind"}
    assert {k: found[k] for k in expected} == expected
    unknown = {"caller", "outcome", "outcome_at", "outcome_seq", "sender", "other_outcomes"}
    assert {found[name] for name in unknown} == {None} and found["test"] is False
    assert set(found) == {*expected, "seq", "test", *unknown}


@pytest.mark.parametrize(
    "value", [0, -1, 0.1, -0.0, 1e300, 5e-324, 2**53 + 1, 2**63 - 1, -(2**63), "", "ü€𝄞", "a\0b", "$set", "x.y", True]
)
def test_every_value_a_record_may_hold_survives(store: Store, value: Any) -> None:
    assert store.add([prediction("one", {"value": value})]).stored == 1
    (found,) = all_of(store)
    assert found["record"] == {"value": value}
    assert store.add([prediction("one", {"value": value})]) == (0, [])


def test_an_integer_beyond_64_bits_stops_nothing(store: Store) -> None:
    assert store.add([prediction("one", {"value": 2**64 - 1}), prediction("two")]).stored == 2
    assert all_of(store)[0]["record"]["value"] == pytest.approx(2.0**64)
    assert store.add([prediction("one", {"value": 2**64 - 1})]) == (0, [])


def test_customers_are_text_whatever_door_they_came_by(store: Store) -> None:
    store.add([prediction("one", customer_id=700), prediction("two", customer_id="700"), prediction("three")])
    assert [p["customer_id"] for p in all_of(store)] == ["700", "700", None]


def test_what_is_stored_again_changes_nothing(store: Store) -> None:
    batch = [prediction(str(i)) for i in range(50)]
    assert store.add(batch) == (50, [])
    before = all_of(store)
    assert store.add(batch) == (0, [])
    assert store.add([*batch[25:], prediction("new")]) == (1, [])
    assert all_of(store)[:50] == before


def test_the_first_record_of_an_id_is_kept_and_a_second_that_differs_is_a_conflict(store: Store) -> None:
    store.add([prediction("one", {"age": 1}), prediction("two", {"age": 2})])
    assert store.add([prediction("one", {"age": 9}), prediction("two", {"age": 2})]) == (0, [key("one")])
    assert [p["record"]["age"] for p in all_of(store)] == [1, 2]


def test_an_id_repeated_inside_one_batch_is_stored_once(store: Store) -> None:
    batch = [prediction("one", {"age": 1}), prediction("one", {"age": 1}), prediction("one", {"age": 2})]
    assert store.add(batch) == (1, [key("one")])
    assert [p["record"]["age"] for p in all_of(store)] == [1]


def test_the_order_of_a_records_fields_makes_no_conflict(store: Store) -> None:
    store.add([prediction("one", {"a": 1, "b": 2})])
    assert store.add([prediction("one", {"b": 2, "a": 1})]) == (0, [])


def test_predictions_are_read_by_cursor_in_the_order_of_their_storing(store: Store) -> None:
    store.add([prediction(f"first-{i}") for i in range(5)])
    store.add([prediction("elsewhere", use_case="wine")])
    store.add([prediction(f"second-{i}") for i in range(5)])
    read: list[str] = []
    cursor, pages = 0, 0
    while page := store.predictions_after("churn", cursor, 3):
        assert [p["seq"] for p in page] == sorted(p["seq"] for p in page)
        assert page[0]["seq"] > cursor
        read += [p["prediction_id"] for p in page]
        cursor, pages = page[-1]["seq"], pages + 1
    assert read == [f"first-{i}" for i in range(5)] + [f"second-{i}" for i in range(5)]
    assert pages == 4


def test_an_outcome_joins_its_prediction(store: Store) -> None:
    store.add([prediction("one"), prediction("two")])
    store.add_outcomes([outcome("two", 1.0)])
    assert [p["outcome"] for p in all_of(store)] == [None, 1.0]
    (found,) = store.outcomes_after("churn", 0, 10)
    assert (found["prediction_id"], found["outcome"]) == ("two", 1.0)
    assert store.waiting_outcomes() == 0


def test_an_outcome_that_comes_first_waits_and_joins_later(store: Store) -> None:
    store.add_outcomes([outcome("early", 1.0), outcome("never", 0.0)])
    assert store.waiting_outcomes() == 2
    assert store.outcomes_after("churn", 0, 10) == []
    store.add([prediction("early")])
    assert [(p["prediction_id"], p["outcome"]) for p in store.outcomes_after("churn", 0, 10)] == [("early", 1.0)]
    assert store.waiting_outcomes() == 1


def test_the_latest_outcome_counts_in_whatever_order_they_come(store: Store) -> None:
    store.add([prediction("one"), prediction("two")])
    store.add_outcomes([outcome("one", 1.0, at=5)])
    store.add_outcomes([outcome("one", 0.0, at=3), outcome("two", 0.0, at=8), outcome("two", 1.0, at=9)])
    store.add_outcomes([outcome("two", 0.0, at=8)])
    assert {p["prediction_id"]: p["outcome"] for p in all_of(store)} == {"one": 1.0, "two": 1.0}


def test_the_latest_of_waiting_outcomes_counts_too(store: Store) -> None:
    store.add_outcomes([outcome("one", 1.0, at=5), outcome("one", 0.0, at=2)])
    store.add_outcomes([outcome("one", 0.5, at=4)])
    assert store.waiting_outcomes() == 1
    store.add([prediction("one")])
    assert all_of(store)[0]["outcome"] == 1.0


def test_outcomes_within_one_second_keep_their_order(store: Store) -> None:
    store.add([prediction("one")])
    at = ["2026-11-21T07:00:01+00:00", "2026-11-21T07:00:01.000001+00:00", "2026-11-21T07:00:01.000100+00:00"]
    for value, when in enumerate(at):
        store.add_outcomes([outcome("one", float(value), outcome_at=when)])
    assert all_of(store)[0]["outcome"] == 2.0


def test_a_correction_moves_a_prediction_to_the_end_of_the_outcomes(store: Store) -> None:
    store.add([prediction("one"), prediction("two")])
    store.add_outcomes([outcome("one", 0.0, at=1), outcome("two", 0.0, at=1)])
    cursor = store.outcomes_after("churn", 0, 10)[-1]["outcome_seq"]
    store.add_outcomes([outcome("one", 1.0, at=2)])
    (moved,) = store.outcomes_after("churn", cursor, 10)
    assert (moved["prediction_id"], moved["outcome"]) == ("one", 1.0)
    assert moved["outcome_seq"] > cursor


def test_outcomes_that_are_replayed_change_nothing(store: Store) -> None:
    store.add([prediction("one")])
    replay = [outcome("one", 0.0, at=1), outcome("one", 1.0, at=2), outcome("waits", 1.0)]
    store.add_outcomes(replay)
    before, cursor = all_of(store), store.outcomes_after("churn", 0, 10)[-1]["outcome_seq"]
    store.add_outcomes(replay)
    store.add_outcomes(replay[:1])
    assert all_of(store) == before
    assert store.outcomes_after("churn", cursor, 10) == []
    assert store.waiting_outcomes() == 1


def test_what_was_stored_is_there_when_it_is_opened_again(open_store: OpenStore) -> None:
    open_store().add([prediction("one")])
    again = open_store()
    assert [p["prediction_id"] for p in all_of(again)] == ["one"]
    assert again.add([prediction("one"), prediction("two")]) == (1, [])
    assert len({p["seq"] for p in all_of(again)}) == 2


def test_several_writers_of_the_same_batches_store_each_prediction_once(open_store: OpenStore) -> None:
    batches = [[prediction(f"{b}-{i}") for i in range(20)] for b in range(10)]

    def write(order: int) -> int:
        mine = open_store()
        return sum(mine.add(batch).stored for batch in (batches if order % 2 else reversed(batches)))

    with ThreadPoolExecutor(4) as pool:
        stored = list(pool.map(write, range(4)))
    found = all_of(open_store())
    assert sum(stored) == 200
    assert len({p["prediction_id"] for p in found}) == len(found) == 200
    assert len({p["seq"] for p in found}) == 200


def test_outcomes_and_predictions_from_several_writers_always_find_each_other(open_store: OpenStore) -> None:
    ids = [str(i) for i in range(100)]
    parts = [ids[i::4] for i in range(4)]

    def write(job: tuple[str, list[str]]) -> None:
        kind, mine = job
        store = open_store()
        for id_ in mine:
            if kind == "prediction":
                store.add([prediction(id_)])
            else:
                store.add_outcomes([outcome(id_, 1.0)])

    jobs = [(kind, part) for part in parts for kind in ("prediction", "outcome")]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, jobs))
    store = open_store()
    assert store.waiting_outcomes() == 0
    assert [p["outcome"] for p in all_of(store)] == [1.0] * 100
    assert len(store.outcomes_after("churn", 0, 1000)) == 100


def test_a_reader_that_follows_by_cursor_misses_nothing_while_several_write(open_store: OpenStore) -> None:
    def write(writer: int) -> None:
        store = open_store()
        for batch in range(12):
            store.add([prediction(f"{writer}-{batch}-{i}") for i in range(1 + (writer * batch) % 7)])

    reader, seen, cursor = open_store(), [], 0
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, w) for w in range(3)]
        while True:
            ended = all(w.done() for w in writers)
            page = reader.predictions_after("churn", cursor, 50)
            seen += [p["prediction_id"] for p in page]
            cursor = page[-1]["seq"] if page else cursor
            if ended and not page:
                break
        for w in writers:
            w.result()
    assert sorted(seen) == sorted(p["prediction_id"] for p in all_of(reader))
    assert len(seen) == len(set(seen)) > 0


def test_what_was_rejected_is_one_document_a_minute_and_door_however_often_it_is_stored(store: Store) -> None:
    first = {"kind": "rejected", "id": "http-1-100-a", "use_case": "churn", "model_run_id": "a" * 32, "door": "http"}
    first |= {"minute": 100, "records": 3, "reasons": [{"reason": "credit_limit is missing", "records": 3}]}
    more = {**first, "records": 5, "reasons": [{"reason": "credit_limit is missing", "records": 5}]}
    later = {**first, "id": "http-1-101-a", "minute": 101}
    for counts in ([first], [more, later], [first]):
        store.add_rejected(counts)
    found = {c["minute"]: (c["records"], c["reasons"]) for c in store.rejected_since("churn", 100)}
    assert found == {100: (5, more["reasons"]), 101: (3, first["reasons"])}
    assert [c["minute"] for c in store.rejected_since("churn", 101)] == [101]
    assert store.rejected_since("claims", 0) == []


def test_the_ids_of_a_customer_are_found_and_only_his(store: Store) -> None:
    store.add(
        [prediction("one", customer_id=7), prediction("two", customer_id="7"), prediction("three", customer_id=8)]
    )
    assert sorted(store.keys_of_customer("7")) == [key("one"), key("two")]
    assert store.keys_of_customer("nobody") == []


def test_what_is_removed_is_gone_with_the_outcomes_that_wait_for_it(store: Store) -> None:
    store.add([prediction("one", customer_id=7), prediction("two")])
    store.add_outcomes([outcome("late", 1.0), outcome("two", 0.0)])
    store.remove([key("one"), key("late"), key("unknown")])
    assert [p["prediction_id"] for p in all_of(store)] == ["two"]
    assert store.waiting_outcomes() == 0 and store.keys_of_customer("7") == []


def test_more_ids_than_go_into_one_call_are_removed(store: Store) -> None:
    ids = [f"p-{n}" for n in range(1203)]
    store.add([prediction(id_) for id_ in ids])
    store.remove([key(id_) for id_ in ids])
    assert all_of(store) == []


def test_a_reader_misses_no_outcome_after_a_removal(store: Store) -> None:
    store.add([prediction("one"), prediction("two")])
    store.add_outcomes([outcome("one", 1.0)])
    (seen,) = store.outcomes_after("churn", 0, 10)
    store.remove([key("one")])
    store.add_outcomes([outcome("two", 1.0)])
    assert [p["prediction_id"] for p in store.outcomes_after("churn", seen["outcome_seq"], 10)] == ["two"]


def test_the_same_id_in_two_use_cases_names_two_predictions(store: Store) -> None:
    store.add([prediction("order-7", {"age": 1})])
    assert store.add([prediction("order-7", {"acid": 2}, use_case="wine", customer_id=7)]) == (1, [])
    store.add_outcomes([outcome("order-7", 1.0), outcome("order-7", 0.0, use_case="wine")])
    assert [(p["record"], p["outcome"]) for p in all_of(store)] == [({"age": 1}, 1.0)]
    (other,) = store.predictions_after("wine", 0, 10)
    assert (other["record"], other["outcome"]) == ({"acid": 2}, 0.0)
    assert store.keys_of_customer("7") == [key("order-7", "wine")]
    store.remove([key("order-7", "wine")])
    assert len(all_of(store)) == 1 and store.predictions_after("wine", 0, 10) == []


def test_an_outcome_without_a_use_case_joins_the_only_prediction_of_its_id(store: Store) -> None:
    old = {k: v for k, v in outcome("one", 1.0).items() if k != "use_case"}
    store.add_outcomes([old, {**old, "prediction_id": "both"}])
    assert store.waiting_outcomes() == 2
    store.add([prediction("one")])
    store.add([prediction("both"), prediction("both", use_case="wine")])
    assert [p["outcome"] for p in all_of(store)] == [1.0, None]
    assert store.waiting_outcomes() == 1
    store.add([prediction("three")])
    store.add_outcomes([{**old, "prediction_id": "three"}, {**old, "prediction_id": "both"}])
    assert [p["outcome"] for p in all_of(store)] == [1.0, None, 1.0]
    assert store.waiting_outcomes() == 1


def test_an_outcome_of_another_sender_replaces_nothing_silently(store: Store) -> None:
    store.add([prediction("one", caller="shop")])
    billing, agency = (
        outcome("one", value, at, sender=name) for value, at, name in ((1, 5, "billing"), (0, 7, "agency"))
    )
    assert store.add_outcomes([billing]) == []
    assert store.add_outcomes([agency]) == [key("one")]
    (found,) = all_of(store)
    assert (found["caller"], found["outcome"], found["sender"]) == ("shop", 0.0, "agency")
    assert found["other_outcomes"] == {"billing": {"outcome": 1.0, "outcome_at": billing["outcome_at"]}}
    cursor = found["outcome_seq"]
    assert store.add_outcomes([billing, agency]) == []  # a replay
    assert store.add_outcomes([outcome("one", 1.0, at=6, sender=None)]) == [key("one")]  # late, and does not count
    assert store.outcomes_after("churn", cursor, 10) == []
    assert set(all_of(store)[0]["other_outcomes"]) == {"billing", ""}
    assert store.add_outcomes([outcome("one", 0.0, at=9, sender="billing")]) == []  # now both say the same
    (found,) = store.outcomes_after("churn", cursor, 10)
    assert (found["sender"], set(found["other_outcomes"])) == ("billing", {"agency", ""})


def test_outcomes_of_two_senders_that_wait_are_both_kept(store: Store) -> None:
    store.add_outcomes([outcome("one", 1.0, at=5, sender="billing")])
    assert store.add_outcomes([outcome("one", 0.0, at=3, sender="agency")]) == [key("one")]
    store.add([prediction("one")])
    (found,) = all_of(store)
    assert (found["outcome"], found["sender"]) == (1.0, "billing")
    assert found["other_outcomes"]["agency"]["outcome"] == 0.0 and store.waiting_outcomes() == 0


def test_test_records_are_stored_and_not_read(store: Store) -> None:
    store.add([prediction("check", test=True, customer_id=7), prediction("real")])
    store.add_outcomes([outcome("check", 1.0), outcome("real", 1.0)])
    assert [p["prediction_id"] for p in all_of(store)] == ["real"]
    assert [p["prediction_id"] for p in store.outcomes_after("churn", 0, 10)] == ["real"]
    assert store.keys_of_customer("7") == [key("check")]
    assert store.add([prediction("check", {"other": 1}, test=True)]) == (0, [key("check")])
    assert store.waiting_outcomes() == 0


def test_waiting_outcomes_are_dropped_by_age_and_beyond_a_number_of_each_sender(store: Store) -> None:
    flood = [outcome(f"never-{n}", 1.0, at=10 + n, sender="flood") for n in range(6)]
    store.add_outcomes([*flood, outcome("old", 1.0, at=1), outcome("mine", 1.0, at=12, sender="mine")])
    assert store.drop_waiting(datetime(2026, 11, 21, 7, 0, 5, tzinfo=UTC), 4) == 3
    assert store.waiting_outcomes() == 5
    store.add([prediction(id_) for id_ in ("never-0", "never-1", "never-2", "never-5", "old", "mine")])
    known = [p["prediction_id"] for p in all_of(store) if p["outcome"] is not None]
    assert known == ["never-2", "never-5", "mine"]


def test_a_store_has_an_id_of_its_own_and_knows_its_highest_number(open_store: OpenStore, tmp_path: Path) -> None:
    first = open_store()
    empty = first.identity()
    assert len(empty.store_id) == 32 and empty.last == 0
    first.add([prediction("one"), prediction("two", customer_id=7)])
    first.remove(first.keys_of_customer("7"))
    assert open_store().identity() == first.identity() == Identity(empty.store_id, 2)
    assert SqliteStore(tmp_path / "another.db").identity().store_id != empty.store_id


def test_it_knows_how_old_its_predictions_are_and_when_retention_looked(open_store: OpenStore) -> None:
    store, before = open_store(), datetime(2026, 11, 1, tzinfo=UTC)
    assert store.ages(before) == (0, 0, None) and store.retained_at() is None
    store.add([prediction("old", created_at="2026-10-01T00:00:00+00:00"), prediction("new")])
    newest = datetime.fromisoformat(prediction("new")["created_at"])
    assert store.ages(before) == (2, 1, newest)
    store.set_retained_at(1_800_000_000.5)
    assert open_store().retained_at() == 1_800_000_000.5


def test_what_is_old_is_forgotten_up_to_a_limit(store: Store) -> None:
    before = datetime(2026, 11, 1, tzinfo=UTC)
    old = [prediction(f"old-{n}", created_at=f"2026-10-0{n}T00:00:00+00:00") for n in range(1, 6)]
    store.add([*old, prediction("new")])
    store.add_outcomes([{**outcome("late", 1.0), "outcome_at": "2026-10-01T00:00:00+00:00"}])
    assert store.forget(before, 3) == 3
    assert store.forget(before, 3) == 2
    assert store.forget(before, 3) == 0
    assert [p["prediction_id"] for p in all_of(store)] == ["new"] and store.waiting_outcomes() == 0


def test_old_counts_of_rejected_records_are_forgotten(store: Store) -> None:
    before = datetime(2026, 11, 1, tzinfo=UTC)
    minute = int(before.timestamp() // 60)
    about = {"use_case": "churn", "model_run_id": "a" * 32, "door": "http", "records": 1, "reasons": []}
    store.add_rejected([{**about, "id": f"c-{n}", "minute": minute + n} for n in (-1, 0, 1)])
    store.forget(before, 10)
    assert sorted(c["minute"] - minute for c in store.rejected_since("churn", 0)) == [0, 1]
