"""A stranger's table: each column is what a person would say it is, and what contains the answer is left out."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model_orchestration.inspection import kinds, report
from model_orchestration.inspection.inspection import Inspection, inspect_table
from model_orchestration.inspection.page import page_name, render, write_page
from model_orchestration.tables.sufficiency import require_enough
from model_orchestration.tables.training_table import prepare
from scorehouse.bundles.bundle import features_json
from scorehouse.errors import TableError
from scorehouse.pages import checks
from scorehouse.pages.defaults import with_defaults
from scorehouse.tables.frames import Frame, read_frame
from scorehouse.usecase import UseCase

ROWS = 300


def people(**columns: Any) -> pd.DataFrame:
    """A table of every kind of column."""
    rng = np.random.default_rng(3)
    age = rng.integers(18, 90, ROWS)
    income = rng.gamma(3, 900, ROWS).round(2)
    left = (rng.random(ROWS) < 1 / (1 + np.exp((income - 2500) / 400))).astype(int)
    letters = np.array(list("abcdefghijklmnopqrst"))
    table = {
        "Id": np.arange(1, ROWS + 1),
        "age": age,
        "income": [f"${value:,.2f}" for value in income],
        "married": rng.choice(["yes", "no", ""], ROWS, p=[0.5, 0.4, 0.1]),
        "city": rng.choice(["Leeds", "York", "Hull"], ROWS),
        "joined": pd.date_range("2023-01-03", periods=ROWS).strftime("%d.%m.%Y"),
        "note": [" ".join(rng.choice(letters, 8)) for _ in range(ROWS)],
        "ticket": [f"A/{n}" for n in rng.permutation(ROWS)],
        "country": "UK",
        "nothing": "",
        "town": "",
        "left": left,
        **columns,
    }
    made = pd.DataFrame(table)
    made["town"] = made["city"].str.upper()
    return made


def frame_of(table: pd.DataFrame) -> Frame:
    return read_frame(table.to_csv(index=False).encode(), "people.csv")


def inspected(table: pd.DataFrame, target: str = "left", key: str = "") -> Inspection:
    return inspect_table(frame_of(table), "people.csv", target, key)


def roles(found: Inspection) -> dict[str, str]:
    return {column.name: column.role for column in found.columns}


def left_out(found: Inspection) -> dict[str, str]:
    return {c.name: c.left_out.partition(":")[0] for c in found.columns if c.role == "left out"}


def loaded(source: str) -> UseCase:
    """Return the use case of a page's source, checked."""
    names: dict[str, Any] = {}
    exec(compile(source, "use_cases/people.py", "exec"), names)
    checked, faults = checks.validated(names["use_case"])
    assert checked is not None, faults
    checked = with_defaults(checked)
    assert list(checks.faults(checked)) == []
    return checked


def require_clean(source: str) -> None:
    """The linter has nothing to say about a page."""
    lint = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", "use_cases/people.py", "-"],
        input=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert lint.returncode == 0, lint.stdout


def test_each_column_is_what_a_person_would_say_it_is() -> None:
    found = inspected(people())
    assert roles(found) == {
        "Id": "left out", "age": "integer", "income": "number", "married": "boolean", "city": "category",
        "joined": "date", "note": "left out", "ticket": "left out", "country": "left out", "nothing": "left out",
        "town": "left out", "left": "target",
    }  # fmt: skip
    assert left_out(found) == {
        "Id": "identifier", "note": "free text", "ticket": "identifier", "country": "constant", "nothing": "empty",
        "town": "copy",
    }  # fmt: skip


@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_what_contains_the_answer_is_left_out_or_flagged(noise: float) -> None:
    table = people()
    rng = np.random.default_rng(5)
    flipped = np.where(rng.random(ROWS) < noise, 1 - table["left"], table["left"])
    found = inspected(table.assign(status=np.where(flipped, "gone", "here"), code=flipped * 7 + 2))
    suspected = {c.name for c in found.columns if c.left_out.startswith(("leak", "copy")) or c.warning}
    assert suspected == {"status", "code", "town"}


def test_an_amount_s_copy_noisy_copy_and_mean_by_key_are_left_out_or_flagged() -> None:
    rng = np.random.default_rng(2)
    table = people(customer_id=rng.integers(1, 60, ROWS), cost=rng.gamma(2, 100, ROWS).round(2))
    table["noisy"] = (table["cost"] * 1 + rng.normal(0, table["cost"].std() * 0.1, ROWS)).round(2)
    table["doubled"] = table["cost"] * 2
    table["usual"] = table.groupby("customer_id")["cost"].transform("mean").round(4)
    found = inspected(table, "cost")
    suspected = {c.name for c in found.columns if c.left_out.startswith("leak") or c.warning}
    assert suspected == {"noisy", "doubled", "usual"}
    assert found.key == "customer_id" and roles(found)["customer_id"] == "key"


def test_a_noisy_copy_of_amounts_of_which_a_few_are_huge_is_flagged() -> None:
    rng = np.random.default_rng(4)
    table = people(cost=np.where(np.arange(ROWS) % 100, rng.gamma(2, 10, ROWS), 1e4 * rng.random(ROWS)).round(2))
    table["noisy"] = (table["cost"] + rng.normal(0, table["cost"].std() * 0.14, ROWS)).round(2)
    assert np.corrcoef(table["noisy"], table["cost"])[0, 1] == pytest.approx(0.99, abs=0.003)
    found = inspected(table, "cost")
    assert {c.name for c in found.columns if c.warning} == {"noisy"}


@pytest.mark.parametrize("how", ["mean", "sum", "max"])
@pytest.mark.parametrize("target", ["cost", "left"])
def test_what_was_added_up_by_any_column_is_left_out_though_most_rows_are_no_sample_of_it(
    how: str, target: str
) -> None:
    """More rows than are judged: the mean of a sample of a household's rows is not that of the household."""
    rng = np.random.default_rng(2)
    rows = 30_000
    table = pd.DataFrame({"household": rng.integers(0, rows // 3, rows), "age": rng.integers(18, 90, rows)})
    table["cost"], table["left"] = rng.gamma(2, 100, rows).round(2), rng.random(rows) < table["age"] / 100
    table["rooms"] = rng.integers(1, 9, rows // 3)[table["household"]]
    table["usual"] = table.groupby("household")[target].transform(how).astype(float)
    found = inspected(table.drop(columns="left" if target == "cost" else "cost"), target)
    leaks = {c.name: c.left_out for c in found.columns if c.left_out.startswith("leak") or c.warning}
    assert leaks == {"usual": f"leak: it is the {how} of {target} for each household"}


def test_a_column_in_another_unit_is_no_copy_but_the_same_numbers_and_renamed_levels_are() -> None:
    table = people()
    table["months"], table["again"] = table["age"] * 12, table["age"]
    table["place"] = table["city"].map({"Leeds": 3, "York": 1, "Hull": 2})
    assert {n: why for n, why in left_out(inspected(table)).items() if why == "copy"} == {
        "again": "copy", "town": "copy", "place": "copy",
    }  # fmt: skip


def test_days_whose_order_no_cell_shows_are_left_out_because_no_table_with_them_is_read() -> None:
    found = inspected(people(seen=[f"{1 + n % 12}/{1 + n % 7}/2020" for n in range(ROWS)]))
    reason = next(c.left_out for c in found.columns if c.name == "seen")
    assert reason.startswith("date: no cell shows whether '1/1/2020' begins with the day or the month: write")


def test_the_order_of_many_different_times_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was looked for once for each cell: 52,000 readings of a sensor took hours."""
    asked: list[int] = []
    known = kinds.day_orders
    monkeypatch.setattr(kinds, "day_orders", lambda cells: (asked.append(1), known(cells))[1])
    times = pd.date_range("2024-01-03", periods=ROWS, freq="7min")
    assert roles(inspected(people(joined=times.strftime("%d.%m.%Y %H:%M"))))["joined"] == "datetime"
    assert len(asked) < 20


def test_the_task_follows_from_the_target() -> None:
    rng = np.random.default_rng(1)
    table = people(
        skewed=rng.gamma(1, 100, ROWS).round(2) + 1, zeros=rng.gamma(0.2, 100, ROWS).round(0),
        colour=rng.choice(["red", "Green", "blue"], ROWS),
        plain=rng.normal(0, 1, ROWS).round(3), mark=rng.integers(3, 9, ROWS), answer=rng.choice(["P", "N"], ROWS),
    )  # fmt: skip
    names = ("skewed", "zeros", "plain", "mark", "answer", "married", "colour")
    tasks = {n: inspected(table, n).target for n in names}
    assert {n: (t.task, t.objectives[:1]) for n, t in tasks.items()} == {
        "skewed": ("amount", ("reg:gamma",)), "zeros": ("amount", ("reg:tweedie",)),
        "plain": ("amount", ("reg:squarederror",)), "mark": ("ordinal", ()), "answer": ("binary", ()),
        "married": ("binary", ()), "colour": ("multiclass", ()),
    }  # fmt: skip
    assert tasks["answer"].outcomes == {"N": 0, "P": 1} and tasks["married"].outcomes == {"no": 0, "yes": 1}
    assert tasks["colour"].classes == ("blue", "Green", "red")


def test_without_a_target_all_that_could_be_one_are_listed_with_their_task() -> None:
    """The last column and the first one lead, then what has the fewest values. No date and no identifier is listed."""
    with pytest.raises(TableError) as refused:
        inspected(people()[["age", "Id", "joined", "note", "city", "income", "married", "left"]], "")
    listed = [line.strip().partition(",")[0] for line in str(refused.value).splitlines()[1:]]
    assert listed == [
        "left: two classes", "age: an amount", "married: two classes", "city: several classes", "income: an amount",
    ]  # fmt: skip


def test_numbers_beyond_those_of_64_bits_have_limits_that_a_bundle_can_hold() -> None:
    """Half-lives of nuclides reach 1e32 seconds; the training ended with a traceback after all trials."""
    found = inspected(people(half_life=10.0 ** np.random.default_rng(0).uniform(-20, 32, ROWS)))
    feature = next(f for f in found.features if f.name == "half_life")
    assert feature.high is not None and 1e32 <= feature.high <= 1e34
    case = loaded(render(found, "people", "people.csv"))
    assert features_json(case.features)


def test_a_time_splits_the_rows_and_its_year_is_no_part_because_later_ones_are_asked_about() -> None:
    table = people()
    table.loc[:2, "joined"] = ""
    found = inspect_table(frame_of(table), "people.csv", "left", time="joined")
    assert roles(found)["joined"] == "date" and found.time == "joined"
    assert next(f.parts for f in found.features if f.name == "joined") == ("month", "weekday")
    case = loaded(render(found, "people", "people.csv"))
    assert case.split_by == "joined"
    ready = prepare(frame_of(table), case)
    assert len(ready.records) == ROWS - 3
    require_enough(ready, case, 0)
    serial = inspect_table(frame_of(table), "people.csv", "left", time="Id")
    assert roles(serial)["Id"] == "time"
    assert loaded(render(serial, "people", "people.csv")).split_by == "Id"


def test_caveats_are_said_in_the_page_and_a_small_table_gives_more_rows_to_the_test() -> None:
    small = people().head(60)[["age", "income", "city", "joined", "left"]].assign(left=np.arange(60) % 5 == 0)
    wide = small.assign(**{f"m{n}": np.random.default_rng(n).normal(size=60).round(3) for n in range(30)})
    assert [c.split(",")[0] for c in inspected(people()).caveats] == ["Only about 45 of 300 rows judge the model"]
    found = inspected(wide)
    assert [caveat.split(",")[0] for caveat in found.caveats] == [
        "Only about 12 of 60 rows judge the model", "There are 35 columns for 48 rows to learn from",
        "Only 12 rows have left True",
    ]  # fmt: skip
    source = render(found, "people", "people.csv")
    assert " ".join(found.caveats[0].split()) in " ".join(source.split()) and loaded(source).split == (0.6, 0.2)
    with pytest.raises(
        TableError, match="only 19 rows have a value of left, but at least 20 are needed to train a model"
    ):
        inspected(small.head(19))


def test_a_large_table_says_how_much_memory_its_training_needs() -> None:
    found = inspected(people())
    large = dataclasses.replace(found.target.column, values=pd.Series(np.arange(3_000_000) % 2))
    target = dataclasses.replace(found.target, column=large, outcomes={})
    (caveat,) = dataclasses.replace(found, rows=3_000_000, target=target).caveats
    assert caveat.startswith("The table is large: a training needs about 2 GB of memory")


def test_a_word_among_numbers_counts_as_missing_and_many_words_make_a_text() -> None:
    table = people()
    table["income"] = table["income"].mask(np.arange(ROWS) % 9 == 0, "nil")
    table["age"] = table["age"].astype(str).mask(np.arange(ROWS) % 7 == 0, "-")
    table["grade"] = np.random.default_rng(0).choice(["1", "2", "3", "none yet"], ROWS)
    for target in ("left", "age"):
        found = inspected(table, target)
        column = {c.name: c for c in found.columns}
        assert roles(found)["income"] == "number" and column["income"].marks == ("nil",)
        assert column["income"].guesses[-1] == "'nil' in 34 rows counts as missing"
        assert roles(found)["grade"] == "category"
        source = render(found, "people", "people.csv")
        require_clean(source)
        case = loaded(source)
        assert set(case.missing) == {"nil", "-"}
        ready = prepare(frame_of(table), case)
        assert sum(r["income"] is None for r in ready.records) > 25
        assert len(ready.records) == (ROWS if target == "left" else ROWS - 43)


def test_shares_are_shown_where_they_say_something() -> None:
    table = people()
    table.loc[0, "city"] = None
    found = inspected(table)
    column = {c.name: c for c in found.columns}
    assert "<1%" not in column["ticket"].shown and column["ticket"].shown.endswith(", …")
    assert column["city"].shown.count("%") == 3 and found.gaps(column["city"]) == "<1%"
    assert found.gaps(column["age"]) == "" and found.gaps(column["nothing"]) == "100%"


def test_the_report_profiles_some_columns_and_rows_of_a_large_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_ROWS", 50)
    monkeypatch.setattr(report, "MOST_COLUMNS", 3)
    page = report.write_report(inspected(people()), tmp_path / "people.html").read_text()
    assert "The target and the first 2 of 5 used columns, of 50 random rows" in page
    assert all(f"<td>{name}</td>" in page for name in people().columns)


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("joinned", "TIME is 'joinned', but no column is called so; did you mean 'joined'?"),
        ("city", "TIME is 'city', but 'York' is neither a day, a time nor a number"),
        ("nothing", "TIME is 'nothing', but"),
        ("left", "TIME is the target, 'left': name another column"),
        ("twice", "TIME is 'twice', but it has only 2 different values: at least 3 are needed"),
    ],
)
def test_what_is_no_time_is_told_in_one_sentence(time: str, words: str) -> None:
    table = people(twice=np.arange(ROWS) % 2 + 2)
    with pytest.raises(TableError) as refused:
        inspect_table(frame_of(table), "people.csv", "left", time=time)
    assert str(refused.value).startswith(words)


@pytest.mark.parametrize(
    ("target", "key", "words"),
    [
        ("", "", "choose what to predict, such as TARGET='left':"),
        ("lefft", "", "no column is called 'lefft'; did you mean 'left'?"),
        ("country", "", "country: all rows have one value, so there is nothing to learn"),
        ("note", "", "note cannot be predicted (free text"),
        ("ticket", "", "ticket cannot be predicted (identifier"),
        ("left", "left", "KEY is the target, 'left': name another column"),
        ("left", "customer", "KEY is 'customer', but no column is called so"),
    ],
)
def test_what_cannot_be_predicted_is_told_in_one_sentence(target: str, key: str, words: str) -> None:
    with pytest.raises(TableError) as refused:
        inspected(people(), target, key)
    assert str(refused.value).startswith(words)


def test_a_constant_number_is_written_as_people_write_it() -> None:
    found = {column.name: column for column in inspected(people(year=70)).columns}
    assert found["year"].left_out == "constant: every row has 70"


def test_the_page_is_one_that_a_training_takes() -> None:
    """It is formatted, has no fault, and every row of the table is read by it."""
    table = people(answer=np.random.default_rng(1).choice(["P", "N"], ROWS))
    table.loc[:4, "answer"] = ""
    table.loc[:4, "income"] = ""
    for target in ("left", "answer", "age", "income"):
        source = render(inspected(table, target), "people", "data/people.csv")
        require_clean(source)
        case = loaded(source)
        assert case.table == "data/people.csv"
        ready = prepare(frame_of(table), case)
        require_enough(ready, case, 0)
        assert len(ready.records) == (ROWS - 5 if target in {"answer", "income"} else ROWS)


def test_a_page_that_was_edited_is_left_as_it_is_and_the_difference_is_shown(tmp_path: Path) -> None:
    found = inspected(people())
    first = write_page(found, "people", "people.csv", tmp_path)
    assert first.difference == "" and loaded(first.path.read_text()).name == "people"
    assert write_page(found, "people", "people.csv", tmp_path).difference == ""
    edited = first.path.read_text().replace("high=130", "high=120")
    first.path.write_text(edited)
    again = write_page(found, "people", "people.csv", tmp_path)
    assert "high=120" in again.difference and "high=130" in again.difference
    assert first.path.read_text() == edited


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("people.csv", "people"),
        ("/x/My Table (2).csv", "my_table_2"),
        ("2024.csv", "table_2024"),
        ("é.csv", "table"),
    ],
)
def test_a_page_is_named_as_a_module_can_be(file: str, name: str) -> None:
    assert page_name(file) == name and name.isidentifier()


@pytest.mark.parametrize("name", ['x"""\nraise SystemExit("ran")\n"""', "a\\", "it's \n# new", '"'])
def test_no_name_in_a_table_runs_as_code_of_the_page(name: str) -> None:
    table = people().rename(columns={"left": name, "age": f"{name} 2"})
    found = inspect_table(frame_of(table), f"{name}.csv", name.strip())
    tree = ast.parse(render(found, "people", f"{name}.csv"))
    assert [type(node).__name__ for node in tree.body] == [
        "Expr", "ImportFrom", "ImportFrom", "ImportFrom", "If", "Assign", "FunctionDef", "Assign",
    ]  # fmt: skip


@pytest.mark.parametrize(("rows", "levels"), [(600, "learnt"), (400, None)])
def test_many_levels_are_learnt_from_enough_rows(rows: int, levels: str | None) -> None:
    rng = np.random.default_rng(3)
    agents = [f"agent {chr(65 + n % 26)}{n}" for n in rng.integers(0, 300, rows)]
    table = pd.DataFrame({"agent": agents, "age": rng.integers(18, 80, rows), "left": rng.integers(0, 2, rows)})
    found = {c.name: c.feature for c in inspected(table, "left").columns}
    agent = found["agent"]
    assert (None if agent is None else agent.levels) == levels


def test_a_table_without_rows_is_told_as_such() -> None:
    with pytest.raises(TableError, match=r"people\.csv has no rows, so there is nothing to learn"):
        inspected(people().head(0), "left")
