"""What is sent for dates and times, whatever form a raw table has: text that a door takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest

from scorehouse.scoring.schema import RecordSchema
from scorehouse.usecase import Feature
from simulation_business.traffic.traffic import to_cases, to_rows
from tests.unit.monitoring.house import USE_CASE

FEATURES = (
    Feature(name="at", kind="datetime", help="", parts=("hour",)),
    Feature(name="day", kind="date", help="", required=True, parts=("month",)),
)
CASE = replace(USE_CASE, features=FEATURES)


@pytest.mark.parametrize(
    "cells",
    [
        ["5/2/2014 1:45 PM", "5/13/2014 12:30 AM", ""],
        ["2014-05-02 13:45", "2014-05-13T00:30:00", None],
        np.array(["2014-05-02T13:45", "2014-05-13T00:30", "NaT"], dtype="datetime64[s]"),
    ],
    ids=["as spreadsheets write them", "as databases write them", "NumPy's"],
)
def test_dates_and_times_are_sent_as_text_that_a_door_takes(cells: Any) -> None:
    days = pd.to_datetime(["2014-05-02", "2014-05-13", None])
    table = pd.DataFrame({"at": cells, "day": days, "id": range(3), "fell": 0})
    sent = [orjson.loads(case.body) for case in to_cases(CASE, to_rows(CASE, table), seed=1)]
    assert [record.get("at") for record in sent] == ["2014-05-02T13:45:00", "2014-05-13T00:30:00", None]
    assert [record["day"] for record in sent] == ["2014-05-02", "2014-05-13", None]
    assert "at" not in sent[2]
    schema = RecordSchema(FEATURES)
    assert all(isinstance(schema.check(record), dict) for record in sent)
