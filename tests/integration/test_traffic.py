"""What the simulated business sends."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import orjson
import pandas as pd
import pytest

from scorehouse.errors import TableError
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.schema import RecordSchema, Rejected
from simulation_business.traffic.faults import FAULTS, NOT_JSON
from simulation_business.traffic.traffic import CHUNK, Drift, generate_rows, read_rows, to_cases

CHURN = load_use_case("churn")
PAGES = Path(__file__).parents[2] / "use_cases"
SCHEMA = RecordSchema(CHURN.features)


def test_the_same_seed_sends_the_same_bytes_and_another_seed_others():
    one, same, other = (list(islice(to_cases(CHURN, generate_rows(CHURN, s), s), 300)) for s in (5, 5, 6))
    assert one == same
    assert {c.body for c in one}.isdisjoint(c.body for c in other)


def test_usual_records_can_all_be_scored_and_carry_ids_that_match():
    sent = list(islice(to_cases(CHURN, generate_rows(CHURN, 3), 3, bare=0.5), 400))
    assert [c.prediction_id for c in sent] == [f"sim-3-{n}" for n in range(400)]
    for case in sent:
        record = orjson.loads(case.body)
        assert not isinstance(SCHEMA.check(record), Rejected)
        assert (record["prediction_id"], record["customer_id"]) == (case.prediction_id, case.customer_id)
        assert case.outcome in (0, 1)


def test_the_share_of_required_only_records_is_what_was_asked():
    required = {f.name for f in CHURN.features if f.required} | {"prediction_id", "customer_id"}
    sent = islice(to_cases(CHURN, generate_rows(CHURN, 3), 3, bare=0.3), 1000)
    bare = sum(set(orjson.loads(case.body)) == required for case in sent)
    assert 250 < bare < 350


@pytest.mark.parametrize("name", sorted(p.stem for p in PAGES.glob("[a-z]*.py")))
def test_every_fault_is_one_that_the_schema_refuses(name: str):
    use_case = load_use_case(name)
    schema, kinds = RecordSchema(use_case.features), Counter()
    for case in islice(to_cases(use_case, generate_rows(use_case, 4), 4, invalid=1.0), 300):
        kinds[case.fault] += 1
        if case.fault == NOT_JSON:
            with pytest.raises(orjson.JSONDecodeError):
                orjson.loads(case.body)
        else:
            assert isinstance(schema.check(orjson.loads(case.body)), Rejected), (case.fault, case.body)
        assert case.prediction_id.encode() in case.body, "a fault leaves the id, so that its rejection can be matched"
    assert set(kinds) == {*FAULTS, NOT_JSON}


def test_a_fifth_of_invalid_traffic_is_invalid():
    sent = list(islice(to_cases(CHURN, generate_rows(CHURN, 3), 3, invalid=0.2), 1000))
    assert 160 < sum(case.fault is not None for case in sent) < 240


def test_drift_begins_at_its_record_grows_and_ends_at_one():
    drift = Drift(1000, 500)
    assert [drift.at(n) for n in (0, 999, 1000, 1250, 1500, 10**9)] == [0, 0, 0, 0.5, 1, 1]


def test_drifting_traffic_is_usual_at_first_and_other_customers_later():
    sent = [row.record["credit_limit"] for row in islice(generate_rows(CHURN, 9, Drift(400, 200)), 1200)]
    usual = [row.record["credit_limit"] for row in islice(generate_rows(CHURN, 9), 1200)]
    assert sent[:400] == usual[:400]
    assert np.mean(sent[800:]) < 0.85 * np.mean(usual[800:])


@pytest.mark.parametrize("name", sorted(p.stem for p in PAGES.glob("[a-z]*.py")))
def test_the_customers_of_generated_traffic_are_others_each_time_the_sample_is_asked(name: str):
    sent = [row.customer_id for row in islice(generate_rows(load_use_case(name), 3), 1000)]
    assert set(sent[:CHUNK]).isdisjoint(sent[CHUNK:])
    assert len(set(sent)) >= 400, "enough for a window of the monitor"


def test_a_table_is_sent_again_and_again_each_round_whole(tmp_path: Path):
    pd.DataFrame(CHURN.sample(30, 1, 0.0)).to_csv(tmp_path / "table.csv", sep=";", index=False)
    sent = [row.customer_id for row in islice(read_rows(CHURN, tmp_path / "table.csv", Random(1)), 60)]
    assert sorted(sent[:30]) == sorted(sent[30:])
    assert sent[:30] != sent[30:]
    assert len(set(sent)) == 30


def test_a_file_that_is_not_a_table_is_named(tmp_path: Path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for name in ("other.csv", "missing.csv"):
        with pytest.raises(TableError, match=re.escape(name)):
            read_rows(CHURN, tmp_path / name, Random(1))
