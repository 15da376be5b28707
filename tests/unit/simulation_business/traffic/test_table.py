"""What is sent where there is a real table: rows that training never saw, new ones, and drift of both."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.training_table import TEST, assign_splits, prepare, read_table
from scorehouse.pages.defaults import with_defaults
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.settings import Settings
from scorehouse.usecase import Feature, UseCase
from simulation_business.traffic.neighbours import Neighbours
from simulation_business.traffic.shift import NothingShifts, shifts
from simulation_business.traffic.table import ENOUGH, RealTable, read_real_table
from simulation_business.traffic.traffic import Drift

CITIES = ("Leeds", "York", "Hull")
FEATURES = (
    Feature(name="age", kind="integer", required=True, low=0, high=130, help=""),
    Feature(name="income", kind="number", low=0, high=1e6, help=""),
    Feature(name="city", kind="category", required=True, categories=CITIES, help=""),
    Feature(name="member", kind="boolean", required=True, help=""),
    Feature(name="joined", kind="date", required=True, parts=("year",), help=""),
    Feature(name="noise", kind="number", required=True, low=0, high=1, help=""),
)
FULL = Drift(0, 1)


def page(table: Path, **changed: Any) -> UseCase:
    declared = UseCase(
        name="people", version=1, title="", about="", source="", features=FEATURES, target="left", task="binary",
        answer="chance", key="", clean=lambda raw: raw, table=str(table),
    )  # fmt: skip
    return with_defaults(replace(declared, **changed))


def write(folder: Path, rows: int) -> Path:
    """Write a table of people, of whom the old, the poor and those in Hull leave."""
    rng = np.random.default_rng(0)
    age, income = rng.integers(18, 90, rows), rng.gamma(4, 8000, rows).round()
    city = rng.choice(CITIES, rows, p=[0.5, 0.3, 0.2])
    chance = 1 / (1 + np.exp(-((age - 54) / 12 - (income - 32000) / 20000 + 2.0 * (city == "Hull") - 0.4)))
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, rows), "D")
    table = pd.DataFrame(
        {
            "age": age, "income": np.where(rng.random(rows) < 0.1, np.nan, income), "city": city,
            "member": rng.choice(["yes", "no"], rows), "joined": days.strftime("%d/%m/%Y"),
            "noise": rng.random(rows).round(3), "left": (rng.random(rows) < chance).astype(int),
        }
    )  # fmt: skip
    table.to_csv(folder / "people.csv", index=False)
    return folder / "people.csv"


def real(use_case: UseCase) -> RealTable:
    found = read_real_table(use_case, Settings())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> RealTable:
    return real(page(write(tmp_path_factory.mktemp("large"), 4000)))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> RealTable:
    return real(page(write(tmp_path_factory.mktemp("small"), 300)))


def content(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(sorted(record.items(), key=lambda item: item[0]))


def test_a_round_sends_each_row_of_the_test_side_once_with_its_outcome_and_no_other(large: RealTable) -> None:
    case = large.use_case
    table = prepare(read_table(case.table, case), case)
    test = assign_splits(table.keys, 0, case.split) == TEST
    places = np.flatnonzero(test)
    assert not large.is_small and len(places) > ENOUGH
    expected = Counter((content(table.records[i]), table.truth[i]) for i in places)
    one, two = (list(islice(large.rows(3), len(places) * n))[-len(places) :] for n in (1, 2))
    for sent in (one, two):
        assert Counter((content(row.record), row.outcome) for row in sent) == expected
    assert [r.customer_id for r in one] != [r.customer_id for r in two]
    assert {r.customer_id for r in one} == {r.customer_id for r in two} and len({r.customer_id for r in one}) == len(
        one
    )
    assert large.about == f"the {len(places):,} rows of {case.table} that training never saw"


def test_without_a_table_there_is_none() -> None:
    assert read_real_table(replace(page(Path()), table=""), Settings()) is None


def test_the_split_is_the_one_that_config_json_asks_for(tmp_path: Path) -> None:
    case = page(write(tmp_path, 400))
    sides = [read.unseen.tolist() for read in (real(case), read_real_table(case, Settings(split_seed=5))) if read]
    (tmp_path / "config.json").write_text(json.dumps({"split_seed": 5}))
    assert real(case).unseen.tolist() == sides[1] != sides[0]


def test_where_rows_are_split_by_time_the_newest_are_sent(tmp_path: Path) -> None:
    found = real(page(write(tmp_path, 400), split_by="joined"))
    joined = np.array([record["joined"] for record in found.table.records], dtype="datetime64[D]")
    assert joined[found.unseen].min() > joined[~found.unseen].max()


def test_customers_are_named_by_their_key(tmp_path: Path) -> None:
    table = pd.read_csv(write(tmp_path, 4000)).assign(id=lambda t: np.arange(len(t)) // 2)
    table.to_csv(tmp_path / "people.csv", index=False)
    found = real(page(tmp_path / "people.csv", key="id"))
    sent = list(islice(found.rows(1), int(found.unseen.sum())))
    assert max(Counter(row.customer_id for row in sent).values()) == 2


def test_of_a_small_table_new_rows_are_made_that_it_does_not_have(small: RealTable) -> None:
    known = {content(record) for record in small.table.records}
    sent = list(islice(small.rows(3), 1000))
    assert small.is_small and "new rows made between neighbours" in small.about
    assert sum(content(row.record) in known for row in sent) < 10
    assert len({row.customer_id for row in sent}) == 1000
    assert {row.outcome for row in sent} == {0.0, 1.0}
    again, other = (list(islice(small.rows(seed), 50)) for seed in (3, 4))
    assert again == sent[:50] != other


def test_the_new_rows_have_the_values_of_the_table_as_often_as_it_has_them(small: RealTable) -> None:
    sent = [row.record for row in islice(small.rows(3), 3000)]
    for name in ("city", "member"):
        shares = [Counter(r[name] for r in of) for of in (sent, small.table.records)]
        for value in shares[1]:
            assert abs(shares[0][value] / 3000 - shares[1][value] / 300) < 0.05, (name, value)
    for name in ("age", "noise", "income"):
        made, own = (np.array([r[name] for r in of if r[name] is not None]) for of in (sent, small.table.records))
        assert abs(np.mean(made) - np.mean(own)) < 0.15 * np.std(own), name
        assert set(made) <= set(own), "each value is one of the table's"
    assert any(r["income"] is None for r in sent), "and so are the gaps"


def test_of_rows_that_are_all_alike_copies_are_sent() -> None:
    same = [{"age": 1}, {"age": 1}]
    record, outcome = Neighbours.of(FEATURES[:1], same, np.array([0.0, 1.0])).make(np.random.default_rng(0))
    assert record == {"age": 1} and outcome in {0.0, 1.0}


@pytest.mark.parametrize("size", ["large", "small"])
def test_records_can_be_scored_with_and_without_drift_and_gaps_are_null(
    size: str, request: pytest.FixtureRequest
) -> None:
    found: RealTable = request.getfixturevalue(size)
    schema = RecordSchema(FEATURES)
    for rows in (found.rows(1), found.rows(1, FULL, found.shifts())):
        for row in islice(rows, 600):
            assert not isinstance(schema.check(json.loads(json.dumps(row.record))), Rejected)
            assert set(row.record) == {f.name for f in FEATURES}


@pytest.mark.parametrize("size", ["large", "small"])
def test_what_drifts_is_what_says_most_about_the_outcome(size: str, request: pytest.FixtureRequest) -> None:
    found: RealTable = request.getfixturevalue(size)
    assert {shift.feature.name for shift in found.shifts()} == {"age", "city", "income"}


def test_drift_grows_from_nothing_and_leaves_the_rest_alone(large: RealTable) -> None:
    def mean(rows: list[Any], name: str) -> float:
        return float(np.mean([row.record[name] for row in rows if row.record[name] is not None]))

    usual = list(islice(large.rows(5), 1800))
    sent = list(islice(large.rows(5, Drift(600, 600), large.shifts()), 1800))
    assert sent[:600] == usual[:600]
    age, noise = ([mean(of[a : a + 600], n) for of in (usual, sent) for a in (0, 600, 1200)] for n in ("age", "noise"))
    half, full = (abs(age[3 + i] - age[i]) for i in (1, 2))
    assert 3 < half < 0.75 * full and noise[:3] == noise[3:]
    assert [row.outcome for row in sent] == [row.outcome for row in usual], "outcomes are the table's"
    hull = [sum(row.record["city"] == "Hull" for row in of[1200:]) / 600 for of in (usual, sent)]
    assert hull[1] - hull[0] > 0.3


def test_where_nothing_says_anything_about_the_outcome_nothing_drifts(large: RealTable) -> None:
    noise = replace(large.use_case, features=(FEATURES[4],), inputs=())
    with pytest.raises(NothingShifts, match=r"^people: no drift is sent, because no feature says anything about left$"):
        shifts(noise, large.table.records, large.table.truth)


@pytest.mark.parametrize("task", ["amount", "ordinal"])
def test_amounts_and_ordered_classes_have_drift_too(large: RealTable, task: Any) -> None:
    age = np.array([float(r["age"]) for r in large.table.records])
    truth = np.exp(age / 10) if task == "amount" else age // 20
    assert shifts(replace(large.use_case, task=task), large.table.records, truth)[0].feature.name == "age"


def test_a_level_that_one_row_has_is_new_in_a_made_row_and_a_common_one_is_not() -> None:
    features = (
        Feature(name="size", kind="number", help="Size"),
        Feature(name="ticket", kind="category", levels="learnt", help="Ticket"),
    )
    records = [{"size": float(i), "ticket": "common" if i % 2 else f"t{i}"} for i in range(60)]
    neighbours = Neighbours.of(features, records, np.zeros(60))
    rng = np.random.default_rng(0)
    tickets = Counter(neighbours.make(rng)[0]["ticket"].partition("-")[0] for _ in range(400))
    assert set(tickets) == {"common", "new"} and 120 < tickets["new"] < 280
