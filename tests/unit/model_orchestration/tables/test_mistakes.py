"""Mistakes in tables, as people make them: each is read and counted, or refused by raw column, row and value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.tables.sufficiency import require_enough
from model_orchestration.tables.training_table import TrainingTable, prepare
from scorehouse.errors import TableError
from scorehouse.pages.loading import load_use_case
from scorehouse.tables.frames import read_frame
from scorehouse.usecase import Estimator, Feature, UseCase

ROWS = 120


@cache
def _sample(name: str) -> pd.DataFrame:
    return pd.DataFrame(load_use_case(name).sample(ROWS, 5, 0.0))


def table(name: str) -> pd.DataFrame:
    """A raw table of a use case, as its publisher writes it."""
    return _sample(name).copy()


def train_on(raw: pd.DataFrame, case: str | UseCase) -> TrainingTable:
    """Read `raw` from a CSV, where a header is row 1."""
    use_case = load_use_case(case) if isinstance(case, str) else case
    return prepare(read_frame(raw.to_csv(index=False).encode(), "t.csv", use_case.features), use_case)


def refusal(raw: pd.DataFrame, case: str | UseCase) -> str:
    """Return why a table is refused: one line."""
    with pytest.raises(TableError) as refused:
        train_on(raw, case)
    said = str(refused.value)
    assert "\n" not in said
    return said


def with_cells(name: str, column: str, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Return a table in which `change` was applied to each cell of a column."""
    raw = table(name)
    return raw.assign(**{column: [change(cell) for cell in raw[column]]})


def with_cell(name: str, column: str, position: int, value: Any) -> pd.DataFrame:
    """Return a table with one other cell. It is in row `position` + 2 of a CSV."""
    raw = table(name)
    raw[column] = raw[column].astype(object)
    raw.loc[position, column] = value
    return raw


# The lines of tables that real users got wrong, with churn.
def test_one_word_among_numbers_is_blamed_alone() -> None:
    raw = with_cell("churn", "Customer_Age", 99, "forty")
    said = refusal(raw, "churn")
    assert said == "Customer_Age: 1 of 120 rows cannot be read: row 101, 'forty', is not a whole number"


def test_blanks_around_a_level_are_removed_and_counted() -> None:
    found = train_on(with_cells("churn", "Education_Level", lambda v: v.replace("Graduate", "Graduate ")), "churn")
    assert found.records == train_on(table("churn"), "churn").records
    changed = table("churn")["Education_Level"].str.contains("Graduate").sum()
    assert f"Education_Level: blanks around {changed} of 120 cells were removed" in found.notes


def test_a_level_in_another_case_is_read_and_counted() -> None:
    found = train_on(with_cells("churn", "Education_Level", str.upper), "churn")
    assert found.records == train_on(table("churn"), "churn").records
    assert any("cells were read as what they stand for: 'GRADUATE' as 'Graduate'" in note for note in found.notes)


def test_an_unknown_level_is_refused_with_the_nearest_one() -> None:
    raw = with_cells("churn", "Income_Category", lambda v: v.replace("Less than $40K", "Less than 40K"))
    said = refusal(raw, "churn")
    row = int(np.flatnonzero(raw["Income_Category"] == "Less than 40K")[0]) + 2
    assert f"row {row}, 'Less than 40K', is not one of 'Less than $40K', '$40K - $60K'" in said
    assert said.startswith("Income_Category: ") and said.endswith("did you mean 'Less than $40K'?")


def test_levels_that_are_all_codes_are_read_as_their_labels() -> None:
    levels = ("Uneducated", "High School", "Graduate", "College", "Post-Graduate", "Doctorate")
    found = train_on(with_cells("churn", "Education_Level", {v: i for i, v in enumerate(levels)}.get), "churn")
    assert found.records == train_on(table("churn"), "churn").records
    assert any(note.startswith("Education_Level: ") and "2 as 'Graduate'" in note for note in found.notes)


def test_a_code_is_listed_once_though_a_bad_cell_makes_its_column_text() -> None:
    raw = with_cells("claims", "n_dependents", lambda v: "5+" if v == 5 else v)
    assert "'5+', is not one of '1', '2', '3', '4', 5; did you mean '5'?" in refusal(raw, "claims")


def test_a_level_that_only_the_sample_has_is_not_suggested() -> None:
    raw = tips_table().astype({"day": object})
    raw.loc[4, "day"] = "monday"
    case = page(sample=lambda *_: {str(name): raw.assign(day="monday")[name].to_numpy() for name in raw})
    assert refusal(raw, case).endswith("row 6, 'monday', is not one of 'fri', 'sat', 'sun', 'thu'")


def test_codes_beside_levels_are_refused() -> None:
    said = refusal(with_cells("churn", "Education_Level", lambda v: 2 if v == "Graduate" else v), "churn")
    assert "'2', is not one of 'Uneducated', 'High School'" in said


def test_a_code_that_no_level_has_is_refused() -> None:
    said = refusal(with_cells("churn", "Education_Level", lambda _: 6), "churn")
    assert said.startswith("Education_Level: 120 of 120 rows cannot be read: row 2, 6, is not one of 'Uneducated'")


def test_a_mark_that_the_page_declares_is_a_missing_value_in_any_case() -> None:
    found = train_on(with_cells("churn", "Education_Level", lambda v: v.replace("Unknown", "UNKNOWN")), "churn")
    assert found.records == train_on(table("churn"), "churn").records


def test_a_column_without_any_value_is_missing_and_named() -> None:
    found = train_on(table("churn").assign(Marital_Status=None), "churn")
    assert all(record["marital_status"] is None for record in found.records)
    assert "Marital_Status: all 120 cells are empty" in found.notes


@pytest.mark.parametrize(
    "words",
    [("Yes", "No"), ("yes", "no"), (True, False), (1, 0), ("t", "f"), ("attrited customer", "EXISTING CUSTOMER ")],
)
def test_outcomes_are_read_in_every_clear_form(words: tuple[Any, Any]) -> None:
    raw = with_cells("churn", "Attrition_Flag", lambda v: words[v == "Existing Customer"])
    found = train_on(raw, "churn")
    np.testing.assert_array_equal(found.truth, train_on(table("churn"), "churn").truth)
    assert any(note.startswith("Attrition_Flag: 120 of 120 cells were read") for note in found.notes)


@pytest.mark.parametrize("words", [("A", "E"), (2, 1), ("Perhaps", "Existing Customer")])
def test_outcomes_that_are_not_clear_are_refused_as_the_table_names_them(words: tuple[Any, Any]) -> None:
    said = refusal(with_cells("churn", "Attrition_Flag", lambda v: words[v == "Existing Customer"]), "churn")
    assert said.startswith("Attrition_Flag: ") and "is not one of 'Existing Customer', 'Attrited Customer'" in said


def test_an_outcome_that_is_missing_is_refused() -> None:
    said = refusal(with_cell("churn", "Attrition_Flag", 5, None), "churn")
    assert said.startswith("Attrition_Flag: 1 of 120 rows cannot be read: row 7 is empty, but must be one of")


def test_absent_columns_are_named_together_as_the_publisher_names_them() -> None:
    raw = table("churn").drop(columns="Gender").rename(columns={"Credit_Limit": "CreditLimit"})
    said = refusal(raw, "churn")
    assert said.startswith(
        "the table has no columns 'Gender', 'Credit_Limit' (did you mean 'CreditLimit'?), which churn"
    )


# Dates and columns that are made of several others, with insurance.
def test_days_are_read_in_the_publisher_s_form_and_in_iso() -> None:
    raw = table("insurance")
    for column in raw.columns[raw.columns.str.startswith("Date_")]:
        raw[column] = raw[column].str.replace(r"(\d\d)/(\d\d)/(\d{4})", r"\3-\2-\1", regex=True)
    assert train_on(raw, "insurance").records == train_on(table("insurance"), "insurance").records


def test_a_day_that_does_not_exist_is_named_with_its_row_and_the_form() -> None:
    said = refusal(with_cell("insurance", "Date_start_contract", 40, "31/02/2015"), "insurance")
    assert said == (
        "Date_start_contract: 1 of 120 rows cannot be read, for example '31/02/2015': "
        "write YYYY-MM-DD or DD/MM/YYYY (first in row 42)"
    )


def test_a_bad_cell_of_a_column_that_is_made_of_several_is_found() -> None:
    said = refusal(with_cell("insurance", "Seniority", 7, "four"), "insurance")
    assert said == "Seniority: 1 of 120 rows cannot be read: row 9, 'four', is not a number"


def test_a_word_that_arithmetic_cannot_take_is_found() -> None:
    said = refusal(with_cell("insurance", "Premium", 7, "free"), "insurance")
    assert said == "Premium: 1 of 120 rows cannot be read: row 9, 'free', is not a number"


def test_an_amount_that_the_objective_cannot_learn_is_refused() -> None:
    said = refusal(with_cell("insurance", "Premium", 7, 0), "insurance")
    assert said == "Premium: 1 of 120 rows cannot be read: row 9, 0, is not a number above 0"


def test_a_label_is_read_as_its_category() -> None:
    raw = with_cells("insurance", "Type_fuel", {"P": "petrol", "D": "Diesel"}.get)
    assert train_on(raw, "insurance").records == train_on(table("insurance"), "insurance").records


# A page of one's own.
FEATURES = (
    Feature(name="bill", kind="number", required=True, low=0, high=9999, help="The bill"),
    Feature(name="day", kind="category", categories=("thu", "fri", "sat", "sun"), help="Day"),
    Feature(name="guests", kind="integer", help="People", low=1),
)


def _clean(raw: pd.DataFrame) -> pd.DataFrame:
    return raw


def page(clean: Callable[[pd.DataFrame], pd.DataFrame] = _clean, **changes: Any) -> UseCase:
    """A use case for tips. Its sample is never used."""
    estimator = Estimator(family="ridge", space={})
    tips = UseCase(
        name="tips", version=1, title="Tips", about="Tips", source="Generated", features=FEATURES, target="tip",
        task="amount", answer="tip", key="number", clean=clean, rank_by="mae",
        sample=lambda *_: {str(name): column.to_numpy() for name, column in tips_table().items()},
        estimators=(estimator,),
    )  # fmt: skip
    return replace(tips, **changes)


def tips_table(rows: int = 60) -> pd.DataFrame:
    """What the waiter wrote down."""
    rng = np.random.default_rng(0)
    bill = rng.gamma(9, 3, rows).round(2)
    days = rng.choice(["thu", "fri", "sat", "sun"], rows)
    guests = rng.integers(1, 7, rows)
    return pd.DataFrame(
        {
            "number": range(rows),
            "bill": bill,
            "day": days,
            "guests": guests,
            "tip": (bill * 0.15 + rng.random(rows)).round(2),
        }
    )


def test_a_misspelt_feature_is_named_beside_the_column_that_is_there() -> None:
    said = refusal(tips_table().rename(columns={"bill": "Bill"}), page())
    assert said.startswith(
        "clean of use_cases/tips.py returns no column 'bill', which is a required feature; did you mean 'Bill'?"
    )
    said = refusal(tips_table().rename(columns={"guests": "Guests"}), page())
    assert "no column 'guests', but one that is like it and no feature: 'Guests'" in said


def test_a_misspelt_key_is_refused() -> None:
    said = refusal(tips_table(), page(key="Number"))
    assert "returns no column 'Number', which is the key; did you mean 'number'?" in said


def test_an_optional_column_that_the_table_lacks_is_said() -> None:
    found = train_on(tips_table().drop(columns="guests"), page())
    assert "guests: the table has no such column, so it is missing in all rows" in found.notes


def test_the_target_is_no_feature() -> None:
    tip = Feature(name="tip", kind="number", help="The tip")
    assert "the target 'tip' is among the features" in refusal(tips_table(), page(features=(*FEATURES, tip)))


def test_a_feature_that_is_made_of_the_target_is_refused() -> None:
    share = Feature(name="share", kind="number", help="The tip divided by the bill")
    case = page(lambda raw: raw.assign(share=raw["tip"] / raw["bill"]), features=(*FEATURES, share))
    assert "share is made from tip, the column of the target, so it contains the answer" in refusal(tips_table(), case)


def test_a_feature_that_is_made_of_earlier_outcomes_is_none() -> None:
    before = Feature(name="before", kind="number", help="The tip before")
    case = page(lambda raw: raw.assign(before=raw["tip"].shift(1)), features=(*FEATURES, before))
    assert len(train_on(tips_table(), case).records) == 60


def test_a_copy_of_the_target_under_another_name_is_refused() -> None:
    case = page(features=(*FEATURES, Feature(name="gratuity", kind="number", help="A copy")))
    assert "gratuity tells the target tip in every row" in refusal(
        tips_table().assign(gratuity=tips_table()["tip"]), case
    )


def test_cells_that_clean_silently_drops_are_refused() -> None:
    raw = tips_table().astype({"bill": object})
    raw.loc[4, "bill"] = "abc"
    case = page(lambda raw: raw.assign(bill=pd.to_numeric(raw["bill"], errors="coerce")))
    assert refusal(raw, case) == "bill: 1 of 60 rows cannot be read: row 6, 'abc', is not a number"


@pytest.mark.parametrize("write", ["${}".format, lambda bill: str(bill).replace(".", ",")])
def test_numbers_as_people_write_them_are_not_blamed_for_a_word(write: Callable[[float], str]) -> None:
    raw = tips_table().astype({"bill": object})
    raw["bill"] = [write(round(bill, 2)) for bill in raw["bill"]]
    raw.loc[4, "bill"] = "abc"
    bill = Feature(name="bill", kind="number", required=True, nullable=False, help="The bill")
    case = page(lambda raw: raw.assign(bill=raw["bill"] * 1.0), features=(bill, *FEATURES[1:]), sample=None)
    assert refusal(raw, case) == "bill: 1 of 60 rows cannot be read: row 6, 'abc', is not a number"


def test_outcomes_as_people_write_them_are_not_blamed_for_a_word() -> None:
    raw = tips_table().astype({"tip": object})
    raw["tip"] = [f"{tip:.2f}".replace(".", ",") for tip in raw["tip"]]
    raw.loc[4, "tip"] = "abc"
    assert refusal(raw, page()).startswith("tip: 1 of 60 rows cannot be read: row 6, 'abc', is not ")


def test_a_sample_that_fails_ends_no_training_on_a_table() -> None:
    def sample(*_: Any) -> Any:
        raise ValueError("no generator")

    assert len(train_on(tips_table(), page(sample=sample)).records) == 60
    raw = tips_table().astype({"bill": object})
    raw.loc[4, "bill"] = "abc"
    case = page(lambda raw: raw.assign(bill=raw["bill"] * 1.0), sample=sample)
    assert refusal(raw, case) == "bill: 1 of 60 rows cannot be read: row 6, 'abc', is not a number"


def test_a_mark_for_missing_values_has_to_be_declared() -> None:
    raw = tips_table()
    raw.loc[4, "guests"] = -1

    def clean(raw: pd.DataFrame) -> pd.DataFrame:
        return raw.assign(guests=raw["guests"].where(raw["guests"] > 0))

    said = refusal(raw, page(clean))
    assert said.startswith("guests: 1 of 60 rows cannot be read: row 6, -1, is not a value that clean of tips reads")
    assert "missing" in said
    assert train_on(raw, page(clean, missing=(-1,))).records[4]["guests"] is None
    raw.loc[7, "guests"] = np.nan  # the column is floats now
    assert train_on(raw, page(clean, missing=(-1,))).records[4]["guests"] is None


def test_a_declared_mark_that_clean_leaves_as_it_is_is_said() -> None:
    raw = tips_table().astype({"day": object})
    raw.loc[4, "day"] = "Unknown"
    assert refusal(raw, page(missing=("unknown",))) == (
        "day: 1 of 60 rows cannot be read: row 6, 'Unknown', is not made a missing value by clean, "
        "though use_cases/tips.py declares it in missing"
    )


def test_rows_are_named_as_in_the_file_though_clean_drops_and_numbers_them_again() -> None:
    raw = tips_table().astype({"day": object})
    raw.loc[[0, 3], "bill"] = np.nan
    raw.loc[9, "day"] = "monday"
    case = page(lambda raw: raw.dropna(subset=["bill"]).reset_index(drop=True))
    assert refusal(raw, case).startswith("day: 1 of 60 rows cannot be read: row 11, 'monday', is not one of")


def test_a_cell_on_which_clean_fails_is_found() -> None:
    days = {"thu": 4, "fri": 5, "sat": 6, "sun": 7}
    raw = tips_table().astype({"day": object})
    raw.loc[9, "day"] = "monday"
    case = page(lambda raw: raw.assign(guests=[days[day] for day in raw["day"]]))
    assert refusal(raw, case).startswith("day: row 11, 'monday', cannot be read: clean of tips fails")


def test_a_wide_table_takes_no_longer() -> None:
    raw = pd.concat([tips_table(), pd.DataFrame(np.zeros((60, 3000))).add_prefix("x")], axis=1)
    calls = 0

    def clean(raw: pd.DataFrame) -> pd.DataFrame:
        nonlocal calls
        calls += 1
        return raw[["number", "bill", "day", "guests", "tip"]]

    train_on(raw, page(clean))
    assert calls < 200


def test_a_repeated_header_is_named() -> None:
    raw = table("churn").astype(object)
    header = pd.DataFrame([dict(zip(raw.columns, raw.columns, strict=True))])
    assert (
        refusal(pd.concat([raw[:50], header, raw[50:]]), "churn")
        == "row 52 repeats the names of the columns: remove it"
    )


def test_a_row_with_the_names_of_another_table_is_named() -> None:
    churn = table("churn").astype(object)
    joined = churn[:50].to_csv(index=False) + churn[50:][list(churn.columns[::-1])].to_csv(index=False)
    use_case = load_use_case("churn")
    with pytest.raises(TableError, match=r"^row 52 has the names of columns, but not in the order of row 1"):
        prepare(read_frame(joined.encode(), "t.csv", use_case.features), use_case)


def test_a_mark_is_suggested_where_it_is_most_like_the_cell() -> None:
    said = refusal(with_cell("churn", "Marital_Status", 3, "Unknwon"), "churn")
    assert said.endswith(
        "is not one of 'Divorced', 'Married', 'Single', or 'Unknown' if it is missing; did you mean 'Unknown'?"
    )


def test_an_amount_beyond_the_numbers_of_a_model_is_refused() -> None:
    said = refusal(with_cell("insurance", "Premium", 7, 1e300), "insurance")
    assert said.endswith("row 9, 1e+300, is not at most 3.4e+38, the largest number of a model")


def test_a_feature_beyond_the_numbers_of_a_model_is_refused() -> None:
    said = refusal(with_cell("claims", "financial_hist_1", 7, 1e300), "claims")
    assert said.endswith("row 9, 1e+300, is not at most 3.4e+38, the largest number of a model")


def test_a_word_for_a_missing_value_is_shown_where_none_may_be_missing() -> None:
    said = refusal(with_cell("wine", "quality", 7, "NA "), "wine")
    assert said.endswith("row 9, 'NA', is a missing value, but must be a whole number")


def test_rows_without_a_key_and_copies_are_counted() -> None:
    raw = table("churn")
    raw["CLIENTNUM"] = raw["CLIENTNUM"].where(raw.index > 1)
    notes = train_on(pd.concat([raw, raw[100:]]), "churn").notes
    assert "CLIENTNUM: 2 of 140 rows have none, and are told apart by their content" in notes
    assert "20 of 140 rows are copies of another row" in notes


def test_categories_that_the_page_does_not_declare_are_counted_where_they_count_as_missing() -> None:
    notes = train_on(with_cell("flights", "Airline", 7, "Jet Airwais"), "flights").notes
    assert (
        "Airline: 1 of 120 rows have a category that the page does not declare, and count as missing: 'Jet Airwais'"
        in notes
    )


def test_a_day_that_does_not_exist_leaves_a_derived_feature_without_a_value_and_is_said() -> None:
    raw = table("flights")
    raw.loc[7, ["Date", "Month"]] = 31, 2
    (note,) = train_on(raw, "flights").notes[1:]
    assert note == "weekday: derive gives no value for 1 of 120 records, although they are complete (first row 9)"


def test_a_derived_value_outside_its_bounds_is_said() -> None:
    (note,) = train_on(with_cell("insurance", "Date_birth", 7, "01/01/2099"), "insurance").notes[1:]
    assert note.startswith(
        "customer_age: derive gives 1 of 120 records a value that is not a number from 0 (first row 9"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda guests: 1 / (guests - 3), "row 8: derive of use_cases/tips.py raises ZeroDivisionError: division by"),
        (lambda guests: "many" if guests == 3 else 1.0, "row 8: derive of use_cases/tips.py gives 'share' the value"),
    ],
)
def test_a_row_of_which_derive_makes_nothing_is_named(value: Callable[[int], Any], words: str) -> None:
    case = page(
        derive=lambda record: {**record, "share": value(record["guests"])},
        derived=(Feature(name="share", kind="number", help="A share"),),
    )
    raw = tips_table().assign(guests=2)
    raw.loc[6, "guests"] = 3
    assert refusal(raw, case).startswith(words)


# The day of a row.
def _dated(days: list[str], before: date | None = date(2026, 3, 1)) -> TrainingTable:
    case = page(dated="day_of_visit")
    raw = tips_table(len(days)).assign(day_of_visit=days)
    return prepare(read_frame(raw.to_csv(index=False).encode(), "t.csv", case.features), case, before=before)


@pytest.mark.parametrize("early", ["2026-02-28", "28/02/2026", "28.2.2026", "28 Feb 2026", "2026-02-28 19:30"])
@pytest.mark.parametrize("before", [None, date(2026, 3, 1)])
def test_the_day_of_a_row_is_read_in_every_form_of_a_table(early: str, before: date | None) -> None:
    late = "3/4/2026" if "/" in early else "2026-04-03"
    assert len(_dated([early] * 40 + [late] * 2, before).records) == (40 if before else 42)


def test_a_table_of_later_rows_alone_is_refused_with_the_month() -> None:
    with pytest.raises(TableError, match=r"^day_of_visit: all 30 rows are dated 2026-03-01 or later, and tips is"):
        _dated(["2026-03-05"] * 30)


def test_a_page_that_drops_every_row_is_named() -> None:
    assert (
        refusal(tips_table(), page(lambda raw: raw[:0]))
        == "clean of use_cases/tips.py dropped all 60 rows of the table"
    )


# Too little to learn from.
@pytest.mark.parametrize("rows", [1, 8, 19])
def test_too_few_rows_are_refused_with_how_many_are_needed(rows: int) -> None:
    with pytest.raises(TableError, match=f"has {rows} rows?, but at least 20 are needed"):
        require_enough(train_on(tips_table(rows), page()), page(), 0)


def test_too_few_groups_are_refused_by_their_column() -> None:
    case = page(lambda raw: raw.rename(columns={"customer": "number"}))
    raw = tips_table().drop(columns="number").assign(customer=1)
    with pytest.raises(TableError, match=r"60 rows with only 1 different value of customer, by which .* at least 20"):
        require_enough(train_on(raw, case), case, 0)


def test_one_outcome_alone_is_refused() -> None:
    with pytest.raises(TableError, match="tip: all 60 rows have one amount, 5, so there is nothing"):
        require_enough(train_on(tips_table().assign(tip=5), page()), page(), 0)


def test_a_class_that_is_too_rare_to_judge_on_is_refused() -> None:
    churn = load_use_case("churn")
    raw = table("churn").assign(Attrition_Flag="Existing Customer")
    with pytest.raises(TableError, match="Attrition_Flag: all 120 rows have one class, 'Existing Customer', so"):
        require_enough(train_on(raw, churn), churn, 0)
    raw.loc[0, "Attrition_Flag"] = "Attrited Customer"
    with pytest.raises(
        TableError,
        match=r"Attrition_Flag: (only 1 of 120 rows have another outcome than 'Existing Customer'|.* on which the AUC)",
    ):
        require_enough(train_on(raw, replace(churn, promote_by="auc")), replace(churn, promote_by="auc"), 0)


def test_an_empty_split_is_named() -> None:
    case = page(split=(0.99, 0.005))
    with pytest.raises(TableError, match=r"the (validation|test) split has no rows: the table has 60 rows"):
        require_enough(train_on(tips_table(), case), case, 0)


def test_a_title_above_the_names_is_suspected() -> None:
    content = b"Tips of 2026\n" + tips_table().to_csv(index=False).encode()
    with pytest.raises(TableError, match="has 5 cells in row 2, but one name in the first row: is that a title"):
        read_frame(content, "t.csv", FEATURES)


# What the first rows of a file do not tell apart is refused here, too, and not guessed from the whole column.
@pytest.mark.parametrize(
    ("header", "row", "last", "said"),
    [
        ("number;bill;tip;day;guests", "{0};{1},{2};{3};fri;2", "", "bill: 60 of 60 rows cannot be read"),
        (
            "number,bill,tip,day,guests,on",
            "{0},{3},{3},fri,2,{4}/{5}/2018",
            "9,1,1,fri,2,26/9/2018",
            "on: 10,051 of 10,051",
        ),
    ],
)
def test_a_file_has_one_notation_at_every_door(header: str, row: str, last: str, said: str) -> None:
    count = 10_050 if last else 60
    rows = [row.format(i, 1 + i % 9, 200 + i % 700, 1 + i % 7, 1 + i % 9, 1 + i % 12) for i in range(count)]
    on = Feature(name="on", kind="date", help="The day")
    case = page(features=(*FEATURES, on) if last else FEATURES, sample=None)
    content = "\n".join([header, *rows, *([last] if last else [])]).encode()
    with pytest.raises(TableError, match=f"^{said}"):
        prepare(read_frame(content, "t.csv", case.features), case)


def _file(lines: list[str], use_case: UseCase) -> TrainingTable:
    content = "\n".join(lines).encode()
    return prepare(read_frame(content, "t.csv", use_case.features, use_case.missing), use_case)


def test_a_declared_mark_among_prices_leaves_the_prices_readable() -> None:
    def clean(raw: pd.DataFrame) -> pd.DataFrame:
        return raw.assign(bill=pd.to_numeric(raw["bill"].replace("closed", None), errors="coerce"))

    rows = [f'{i},"{"closed" if i == 4 else f"${1000 + i:,}"}",fri,2,{i + 1}' for i in range(60)]
    found = _file(["number,bill,day,guests,tip", *rows], page(clean, missing=("Closed",)))
    assert [r["bill"] for r in found.records[3:6]] == [1003, None, 1005]


def test_the_target_has_the_notation_of_the_file_s_first_rows() -> None:
    """Between semicolons 1,234 may be either number: it is refused, although a later cell would show it."""
    rows = [f"{i};{1 + i % 90};fri;2;1,{200 + i % 700}" for i in range(10_050)]
    with pytest.raises(TableError, match=r"^tip: 10,051 of 10,051 rows cannot be read"):
        _file(["number;bill;day;guests;tip", *rows, "9;1;fri;2;5,5"], page(sample=None))


def test_the_day_of_a_row_has_the_order_of_the_file_s_first_rows() -> None:
    rows = [f"{i},{1 + i % 90},fri,2,{i + 1},{1 + i % 9}/{1 + i % 12}/2018" for i in range(10_050)]
    with pytest.raises(TableError, match=r"^on: 10,051 of 10,051 rows cannot be read"):
        _file(["number,bill,day,guests,tip,on", *rows, "9,1,fri,2,1,26/9/2018"], page(sample=None, dated="on"))


def test_text_that_clean_changes_has_the_notation_of_the_file_where_it_shows_none() -> None:
    def clean(raw: pd.DataFrame) -> pd.DataFrame:
        return raw.assign(bill=raw["bill"].str.removesuffix(" kg"))

    rows = [f"{i};1,{200 + i} kg;fri;2;{i + 1},5" for i in range(60)]
    found = _file(["number;bill;day;guests;tip", *rows], page(clean, sample=None))
    assert found.records[3]["bill"] == 1.203


@pytest.mark.parametrize("mark", [-1, "-1", "-1.0"])
def test_a_mark_that_is_a_number_is_found_however_it_is_written(mark: str | int) -> None:
    raw = tips_table()
    raw.loc[4, "guests"] = -1

    def clean(raw: pd.DataFrame) -> pd.DataFrame:
        return raw.assign(guests=raw["guests"].where(raw["guests"] > 0))

    assert train_on(raw, page(clean, missing=(mark,))).records[4]["guests"] is None
