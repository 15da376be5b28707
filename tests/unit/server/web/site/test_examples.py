from __future__ import annotations

import numpy as np
import pytest

from scorehouse.pages.records import example_record, example_value
from scorehouse.scoring.schema import RecordSchema, Rejected
from scorehouse.serving.serving import Model
from scorehouse.usecase import Feature
from server.web.site.examples import random_record


def test_declared_examples_are_valid_records(toy_model: Model) -> None:
    features, check = toy_model.bundle.features, toy_model.scorer.schema.check
    required, everything = example_record(features), example_record(features, optional=True)
    assert set(required) == {f.name for f in features if f.required}
    assert set(everything) == {f.name for f in features}
    assert not isinstance(check(required), Rejected)
    assert not isinstance(check(everything), Rejected)


@pytest.mark.parametrize(
    "feature",
    [
        Feature(name="x", kind="integer", help="", low=18, high=30),
        Feature(name="x", kind="integer", help=""),
        Feature(name="x", kind="number", help="", high=-3),
        Feature(name="x", kind="number", help="", low=0.5),
        Feature(name="x", kind="category", help="", categories=("a", "b")),
        Feature(name="x", kind="category", help="", categories=(3, 4), nullable=False),
        Feature(name="x", kind="date", help="", low=1900, high=2099),
        Feature(name="x", kind="date", help="", low=1800, high=1899),
        Feature(name="x", kind="date", help=""),
        Feature(name="x", kind="date", help="", low=0, high=99),
        Feature(name="x", kind="datetime", help="", low=1800, high=1899),
        Feature(name="x", kind="datetime", help=""),
        Feature(name="x", kind="boolean", help="", nullable=False),
    ],
)
def test_a_feature_without_an_example_gets_a_value_that_it_allows(feature: Feature) -> None:
    assert not isinstance(RecordSchema([feature]).check({"x": example_value(feature)}), Rejected)


def test_drawn_records_are_valid_and_made_of_values_that_the_reference_holds(toy_model: Model) -> None:
    bundle, rng = toy_model.bundle, np.random.default_rng(0)
    seen = {c.name: set(bundle.reference.rows[:, i].tolist()) for i, c in enumerate(bundle.encoder.columns)}
    for _ in range(200):
        record = random_record(bundle, rng)
        assert not isinstance(toy_model.scorer.schema.check(record), Rejected)
        row = bundle.encoder.rows([record])[0].tolist()
        for column, value in zip(bundle.encoder.columns, row, strict=True):
            assert np.isnan(value) or value in seen[column.name]


def test_no_drawn_record_is_a_row_of_the_reference(toy_model: Model) -> None:
    rng = np.random.default_rng(1)
    rows = {tuple(row) for row in np.nan_to_num(toy_model.bundle.reference.rows, nan=-1).tolist()}
    records = [random_record(toy_model.bundle, rng) for _ in range(500)]
    drawn_rows = np.nan_to_num(toy_model.bundle.encoder.rows(records), nan=-1)
    assert not rows & {tuple(row) for row in drawn_rows.tolist()}


def test_drawn_fields_are_independent_though_they_are_not_in_the_reference(toy_model: Model) -> None:
    names = toy_model.bundle.encoder.names
    age, months = names.index("customer_age"), names.index("months_on_book")
    rng = np.random.default_rng(2)
    rows = toy_model.bundle.encoder.rows([random_record(toy_model.bundle, rng) for _ in range(1000)])
    reference = toy_model.bundle.reference.rows
    assert np.corrcoef(reference[:, age], reference[:, months])[0, 1] > 0.5
    assert abs(np.corrcoef(rows[:, age], rows[:, months])[0, 1]) < 0.15


def test_numbers_are_drawn_as_a_person_would_write_them(toy_model: Model) -> None:
    rng = np.random.default_rng(3)
    ratios = [random_record(toy_model.bundle, rng).get("avg_utilization_ratio") for _ in range(50)]
    assert all(len(str(r)) <= 6 for r in ratios if r is not None)


def test_a_field_that_the_model_sees_only_through_others_is_drawn_from_what_is_declared(toy_model: Model) -> None:
    extra = (
        Feature(name="airline", kind="category", help="", categories=("A", "B"), required=True),
        Feature(name="born", kind="date", help="", low=1900, high=2099, example="1980-02-03", required=True),
    )
    bundle = type(toy_model.bundle)(toy_model.bundle.folder, toy_model.bundle.manifest, "")
    bundle.features = (*bundle.features, *extra)
    rng = np.random.default_rng(4)
    records = [random_record(bundle, rng) for _ in range(50)]
    assert {r["airline"] for r in records} == {"A", "B"}
    assert {r["born"] for r in records} == {"1980-02-03"}
