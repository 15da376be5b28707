"""A page whose model sees the hour and the weekday of a time: trained, served, explained and watched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.model import PythonModelContext

import use_cases
from model_orchestration.tables.training_table import prepare
from monitoring.evidently_service.drift.observed import RunColumns
from monitoring.evidently_service.drift.reference import RunReference
from monitoring.evidently_service.drift.verdict import judge
from scorehouse.errors import TableError
from scorehouse.serving.serving import Model
from scorehouse.tables.frames import read_frame
from tests import doors, toy
from tests.doors import Door
from tests.toy import Toy

PAGE = '''
import numpy as np

from scorehouse.usecase import Estimator, Feature, Range, UseCase

FEATURES = (
    Feature(name="km", kind="number", required=True, low=0, high=1000, help="Distance", example=5.0),
    Feature(
        name="booked", kind="datetime", required=True, low=2000, high=2099, parts=("weekday", "hour"), help="Start",
        example="2014-05-02 13:45:00Z",
    ),
    Feature(name="born", kind="date", low=1900, high=2099, parts=("year",), help="Birth"),
)


def sample(rows, seed, drift=0.0):
    rng = np.random.default_rng(seed)
    late = rng.random(rows) < drift
    hours = np.where(late, rng.integers(20, 24, rows), rng.integers(0, 24, rows))
    days = rng.integers(0, 364, rows)
    at = np.datetime64("2014-01-06T00:00") + days.astype("m8[D]") + hours.astype("m8[h]")  # day 0 is a Monday
    km = rng.uniform(1, 20, rows).round(1)
    fare = 3 + 2 * km + np.where(hours >= 20, 30, 0) + np.where(days % 7 >= 5, 15, 0)
    born = np.char.add(rng.integers(1940, 2000, rows).astype(str), "-06-15")
    return {"ride": np.arange(rows), "km": km, "booked": at.astype(str), "born": born, "fare": fare}


use_case = UseCase(
    name="rides", version=1, title="What will it cost?", about="A ride.", source="Generated",
    features=FEATURES, target="fare", task="amount", answer="fare", key="ride",
    clean=lambda table: table, sample=sample, rank_by="mae", trials=2, mask_optional=0.2,
    estimators=(
        Estimator(
            family="xgboost", fixed={"objective": "reg:squarederror"},
            space={"learning_rate": Range(0.1, 0.3, log=True), "max_depth": Range(4, 6, integer=True)},
        ),
    ),
)
'''  # fmt: skip


@pytest.fixture(scope="module")
def rides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toy]:
    """The page's model, trained on its sample. Nobody had to write a derive."""
    folder = tmp_path_factory.mktemp("rides")
    (folder / "rides.py").write_text(PAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder)])
        yield toy.train(folder / "bundle", use_case="rides", rows=2_000)


@pytest.fixture
def door(rides: Toy, tmp_path: Path) -> Door:
    """An HTTP door that serves the model."""
    opened, bundle = doors.empty_door(rides.use_case, tmp_path), rides.bundle()
    opened.serving.model = Model(bundle, bundle.scorer(rides.use_case))
    return opened


def fare(door: Door, booked: Any) -> float:
    answer = door.client.post("/predict", json={"km": 10.0, "booked": booked})
    assert answer.status_code == 200, answer.text
    return float(answer.json["fare"])


def test_the_model_learns_from_the_parts(rides: Toy, door: Door) -> None:
    assert rides.bundle().manifest.format == 4
    assert rides.training.encoder.names == ["km", "booked_weekday", "booked_hour", "born_year"]
    monday, saturday = "2014-05-05T10:00:00", "2014-05-03T10:00:00"
    assert fare(door, monday) == pytest.approx(23, abs=4)
    assert fare(door, saturday) == pytest.approx(38, abs=4)
    assert fare(door, "2014-05-05T22:00:00") == pytest.approx(53, abs=4)


def test_every_form_of_a_time_has_one_answer_at_every_door(door: Door) -> None:
    expected = fare(door, "2014-05-03T21:15:00")
    for form in ("2014-05-03 21:15", "2014-05-03T21:15:00.5", "2014-05-03T21:15:00Z", "2014-05-03T21:15:00+09:00"):
        assert fare(door, form) == expected
    for cell in ("2014-05-03 21:15:00", "03.05.2014 21:15", "3 May 2014 21:15", "2014-05-03 9:15 PM"):
        table = door.client.post("/invocations", data=f"km,booked\n10.0,{cell}\n", content_type="text/csv")
        assert table.json == {**table.json, "predictions": [expected]}, cell


def test_a_frame_of_days_and_times_has_the_same_answer_from_mlflows_form(rides: Toy, door: Door) -> None:
    from model_orchestration.tracking.pyfunc_model import RecordModel

    model, context = RecordModel(), PythonModelContext({"bundle": str(rides.folder)}, {})
    model.load_context(context)
    times = pd.to_datetime(["2014-05-03T21:15:00", "2014-05-05T10:00:00", None])
    days = pd.to_datetime(["1980-06-15", None, "1950-06-15"])
    answers = model.predict(context, pd.DataFrame({"km": 10.0, "booked": times, "born": days}))
    records = [
        {"km": 10.0, "booked": "2014-05-03T21:15:00", "born": "1980-06-15"},
        {"km": 10.0, "booked": "2014-05-05T10:00:00", "born": None},
        {"km": 10.0, "booked": None, "born": "1950-06-15"},
    ]
    assert answers == [door.client.post("/predict", json=record).json["fare"] for record in records]


def test_a_wrong_time_is_refused_with_what_is_allowed(door: Door) -> None:
    answer = door.client.post("/predict", json={"km": 10.0, "booked": "2014-05-03"})
    assert answer.status_code == 422
    (error,) = answer.json["errors"]
    assert error["allowed"] == "a date and time as YYYY-MM-DDThh:mm:ss from 2000 to 2099, or null"


def test_a_wrong_cell_of_a_training_table_is_named(rides: Toy) -> None:
    lines = [f"{i},{5 + i % 9},2014-05-{1 + i % 28:02d} 10:{i % 60:02d},1980-01-01,{20 + i % 7}" for i in range(60)]
    lines[6] = "6,5,soon,1980-01-01,20"
    content = "\n".join(["ride,km,booked,born,fare", *lines]).encode()
    with pytest.raises(TableError, match=r"booked: 1 of 60 .*row 8.*'soon'.*a date and time as YYYY-MM-DDThh:mm:ss"):
        prepare(read_frame(content, "rides.csv", rides.use_case.features), rides.use_case)


def test_a_datetime_may_date_the_rows_and_keeps_its_time(rides: Toy) -> None:
    case = replace(rides.use_case, dated="booked")
    sample = pd.DataFrame(case.draw_sample(400, 1))
    found = prepare(sample, case, before=date(2014, 7, 1)).records
    assert [r["booked"] for r in found] == [f"{at}:00" for at in sample["booked"] if at < "2014-07"]


def test_parts_are_explained_by_their_names(door: Door) -> None:
    record = {"km": 10.0, "booked": "2014-05-03T21:15:00"}
    found = {c["feature"]: c for c in door.client.post("/explain", json=record).json["contributions"]}
    assert (found["booked_weekday"]["value"], found["booked_hour"]["value"]) == (5, 21)
    assert found["booked_hour"]["contribution"] > 10


def test_the_form_has_a_control_for_the_time(door: Door) -> None:
    page = door.client.get("/").text
    assert 'type="datetime-local" step="1"' in page
    assert 'value="2014-05-02T13:45:00"' in page
    # What the explanation of an answer says of a part.
    assert '"booked_weekday": ["Start: weekday", "", {"0": "Monday", "1": "Tuesday"' in unescape(page)


@pytest.mark.parametrize(("drift", "drifting"), [(0.0, set()), (1.0, {"booked_hour"})])
def test_the_monitor_sees_the_drift_of_a_part(rides: Toy, drift: float, drifting: set[str]) -> None:
    bundle = rides.bundle()
    columns = RunColumns(bundle, rides.use_case)
    records = toy.records(rides.use_case, 500, seed=3, drift=drift)
    predictions = bundle.scorer(rides.use_case).score(records)
    start = datetime(2026, 11, 21, 12)  # noqa: DTZ001 - any time
    documents: Any = [
        {"seq": i, "prediction_id": f"p{i}", "record": record, "prediction": prediction,
         "created_at": (start + timedelta(seconds=i)).isoformat()}
        for i, (record, prediction) in enumerate(zip(records, predictions, strict=True))
    ]  # fmt: skip
    verdict = judge(*RunReference(bundle.reference, columns).tables(columns.observe(documents)))
    assert {c.name for c in verdict.columns if c.drifted} - {"prediction"} == drifting


def test_a_part_is_unsent_only_where_its_date_is(rides: Toy) -> None:
    columns = RunColumns(rides.bundle(), rides.use_case)
    records = [
        {"km": 1.0, "booked": None, "born": "1980-01-01"},
        {"km": 1.0, "booked": None},
        {"km": 1.0, "booked": "2014-05-03T21:15:00", "born": None},
    ]
    documents: Any = [
        {"seq": i, "prediction_id": f"p{i}", "record": r, "prediction": 1.0, "created_at": "2026-11-21T12:00:00+00:00"}
        for i, r in enumerate(records)
    ]
    observed = columns.observe(documents)
    names = [name for name, _ in columns.columns]
    assert [name for name, optional in zip(names, columns.optional, strict=True) if optional] == ["born_year"]
    np.testing.assert_array_equal(observed.sent[:, names.index("born_year")], [True, False, True])
    assert observed.sent[:, names.index("booked_hour")].all()  # a null that was sent
