from __future__ import annotations

import pytest

from scorehouse.serving.serving import Model
from scorehouse.usecase import Feature
from server.web.site.fields import field, fields


def test_every_feature_has_a_field_and_required_ones_start_with_their_example(toy_model: Model) -> None:
    shown = {f.name: f for f in fields(toy_model.bundle)}
    assert list(shown) == [f.name for f in toy_model.bundle.features]
    assert (shown["customer_age"].value, shown["customer_age"].control) == ("50", "integer")
    assert shown["credit_limit"].control == "number"
    assert (shown["total_trans_ct"].value, shown["total_trans_ct"].placeholder) == ("", "such as 65")


def test_categories_and_coded_levels_are_choices_with_labels_and_json_values(toy_model: Model) -> None:
    shown = {f.name: f for f in fields(toy_model.bundle)}
    assert shown["gender"].choices == [('"M"', "Male"), ('"F"', "Female")]
    assert (shown["gender"].value, shown["gender"].meanings) == ('"M"', "M male, F female")
    assert shown["education_level"].choices[3] == ("3", "College")
    assert shown["education_level"].value == "3"
    assert shown["card_category"].meanings == ""


def test_a_number_is_hinted_by_its_unit_and_by_what_is_usual_in_the_reference(toy_model: Model) -> None:
    age = next(f for f in fields(toy_model.bundle) if f.name == "customer_age")
    low, high = (int(v) for v in age.usual.split(" to "))
    known = toy_model.bundle.reference.rows[:, toy_model.bundle.encoder.names.index("customer_age")]
    assert 0.85 < ((known >= low) & (known <= high)).mean() < 0.96
    assert age.hint == f"years, mostly {age.usual}"


def test_a_feature_that_is_not_in_the_reference_has_no_usual_range() -> None:
    assert field(Feature(name="x", kind="number", help="X", unit="km")).hint == "km"


def test_a_date_is_a_date() -> None:
    born = field(
        Feature(name="born", kind="date", help="Born", low=1900, high=2099, required=True, example="1980-01-31")
    )
    assert (born.control, born.value, born.hint) == ("date", "1980-01-31", "")


@pytest.mark.parametrize("example", ["2014-05-02 13:45", "2014-05-02T13:45:00Z", "2014-05-02T13:45:00.123456789+02:00"])
def test_a_datetime_is_held_as_a_browsers_control_holds_it(example: str) -> None:
    at = field(Feature(name="at", kind="datetime", help="At", required=True, example=example))
    assert (at.control, at.value, at.hint) == ("datetime", "2014-05-02T13:45:00", "")


def test_integer_categories_stay_integers() -> None:
    assert field(Feature(name="n", kind="category", help="N", categories=(3, 5))).choices == [("3", "3"), ("5", "5")]


def test_a_boolean_is_a_choice_of_yes_and_no_or_of_its_labels() -> None:
    plain = field(Feature(name="smokes", kind="boolean", help="Smokes", required=True, example=True))
    assert (plain.control, plain.choices, plain.value) == ("choice", [("true", "Yes"), ("false", "No")], "true")
    labels = {True: "owner", False: "tenant"}
    labelled = field(Feature(name="owns", kind="boolean", help="Owns", labels=labels))
    assert labelled.choices == [("true", "Owner"), ("false", "Tenant")]
    assert (labelled.meanings, labelled.value) == ("true owner, false tenant", "")
