"""Every mistake in a page is one line that says what would be right, when the page is loaded."""

# ruff: noqa: E501 - a mistake and what is said about it are one line
from __future__ import annotations

import re
from time import process_time

import orjson
import pytest

from scorehouse.errors import UseCaseError
from scorehouse.pages import checks, families
from scorehouse.pages.derivation import derive_faults
from scorehouse.pages.loading import load_use_case
from tests.unit.scorehouse.pages.pages import PAGE, Pages

OBJECTIVE = 'fixed={"objective": "reg:squarederror"}'
GUESTS = 'Feature(name="guests", kind="integer", required=True, low=1, high=100, help="People at the table", example=2)'
TREES = 'family="xgboost"'
DEPTH = '"max_depth": Range(2, 5, integer=True)'
DAYS = '("thu", "fri", "sat", "sun")'
RANK = 'rank_by="mae"'
TRIALS = "trials=20"
DIVIDE = "None if bill is None or guests is None else bill / guests"
RETURN = '{**record, "bill_per_guest": ' + DIVIDE + "}"

MISTAKES = [
    # metrics, tasks and families
    (RANK, 'rank_by="rsme"', "rank_by is 'rsme', by which models cannot be ranked; did you mean 'rmse'?"),
    (RANK, 'rank_by="log_loss"', "rank_by is 'log_loss', which is for the task 'binary' (the task 'amount' has gamma_deviance, mae, rmse)"),
    (RANK, 'rank_by="bias"', "rank_by is 'bias', by which models cannot be ranked"),
    (RANK, 'rank_by="mae", promote_by="kapa"', "promote_by is 'kapa'"),
    ('task="amount"', 'task="regression"', "task must be 'binary', 'amount', 'ordinal' or 'multiclass', not 'regression'"),
    ('family="xgboost"', 'family="lightgbm"', "estimator 'lightgbm': family must be 'xgboost', 'random_forest',"),
    ('family="xgboost"', 'family="random_forrest"', "did you mean 'random_forest'?"),
    ('family="xgboost"', 'family="svc"', "estimator 'svc': it learns 'ordinal' or 'multiclass'; the task 'amount' is learnt by 'xgboost'"),
    (f"{OBJECTIVE},", "", 'estimator \'xgboost\': fixed needs an objective for the task \'amount\': fixed={"objective": "reg:'),
    ("reg:squarederror", "binary:logistic", "the objective of the task 'amount' must be 'reg:squarederror' or"),
    ("reg:squarederror", "reg:squarederor", "did you mean 'reg:squarederror'?"),
    ("reg:squarederror", "reg:linear", "the objective of the task 'amount' must be"),
    # kinds, bounds, categories, labels, examples
    ('kind="number", required', 'kind="text", required', "feature 'bill': kind must be 'integer', 'number', 'category', 'boolean', 'date' or 'datetime', not 'text'; did you mean 'category'?"),
    ('kind="number", required', 'kind="float", required', "did you mean 'number'?"),
    ('kind="boolean"', 'kind="bool"', "did you mean 'boolean'?"),
    ('kind="boolean"', 'kind="category", categories=(True, False)', "feature 'smokers': categories is wrong: True is a boolean: use kind=\"boolean\""),
    ('kind="boolean"', 'kind="timestamp"', "did you mean 'datetime'?"),
    (GUESTS, 'Feature(name="guests", kind="date", help="", parts=("week",))', "feature 'guests': parts must be 'year', 'month', 'day', 'weekday', 'day_of_year', 'hour' or 'minute', not 'week'; did you mean 'weekday'?"),
    (GUESTS, 'Feature(name="guests", kind="date", help="", parts="month")', "feature 'guests': parts must be a tuple, such as ('month',), not 'month'"),
    (GUESTS, 'Feature(name="guests", kind="date", help="", parts=("month", "hour"))', "feature 'guests': a date has no hour: use kind=\"datetime\", or remove it from parts"),
    (GUESTS, 'Feature(name="guests", kind="date", help="", parts=("month", "month"))', "feature 'guests': parts has 'month' twice"),
    (GUESTS, 'Feature(name="guests", kind="datetime", low=1990, help="")', "feature 'guests': a datetime is bounded by whole centuries"),
    (GUESTS, 'Feature(name="guests", kind="datetime", help="", example="2014-05-02")', "its example '2014-05-02' is not allowed (allowed: a date and time as YYYY-MM-DDThh:mm:ss, or null)"),
    ('kind="boolean"', 'kind="boolean", parts=("month",)', "feature 'smokers': parts are for kind=\"date\" and kind=\"datetime\", not 'boolean'"),
    (GUESTS, 'Feature(name="bill_per", kind="date", help="", parts=("day",)), Feature(name="bill_per_day", kind="integer", help="")', "the field 'bill_per_day' has the name of a part of 'bill_per': rename it, or remove the part"),
    (GUESTS, 'Feature(name="tip", kind="date", help="", parts=("day",)), Feature(name="guests", kind="integer", help="")', "the target 'tip' is among the features"),
    ('DERIVED = (', 'DERIVED = (Feature(name="on", kind="date", help="", parts=("day",)),', "'on' is derived, and parts are for features"),
    (DAYS, '("thu", 5.0)', "5.0 is a fraction, not a category: write 5"),
    (DAYS, '("thu", 5.5, "sat")', "5.5 is a fraction, not a category: write it as text"),
    (DAYS, '("sat", None)', "None is a missing value, not a category: nullable=True allows it"),
    (DAYS, '("sat", "sat")', "feature 'day': the categories 'sat', 'sat' read the same in a table: keep one"),
    (DAYS, '("sat", 1, "1")', "feature 'day': the categories 1, '1' read the same in a table: keep one"),
    (DAYS, '("sat", "sun ")', "feature 'day': the category 'sun ' has blanks at an end: write 'sun'"),
    (DAYS, '{"sat", "sun"}', "feature 'day': categories must be a tuple"),
    (DAYS, '"sat"', "feature 'day': categories must be a tuple, such as ('sat',), not 'sat'"),
    (DAYS, "()", "feature 'day': a category needs categories, such as"),
    ('kind="boolean"', 'kind="boolean", categories=("yes", "no")', "feature 'smokers': categories are for kind=\"category\", not 'boolean'"),
    ('kind="boolean"', 'kind="boolean", unseen="missing"', "feature 'smokers': unseen=\"missing\" is for kind=\"category\""),
    ('kind="boolean"', 'kind="boolean", low=0, high=1', "feature 'smokers': low and high are for numbers and dates, not for kind='boolean'"),
    ("categories=DAYS", "categories=DAYS, low=0", "feature 'day': low and high are for numbers and dates, not for kind='category'"),
    ("low=1, high=100", "low=100, high=1", "feature 'guests': low=100 is above high=1"),
    ("low=1, high=100", 'low="1", high=100', "feature 'guests': low must be a valid"),
    ("low=1, high=100", "low=1.2, high=1.8", "feature 'guests': no whole number is from 1.2 to 1.8"),
    ("low=0, high=9999", "low=0, high=10**400", "feature 'bill': high is wrong: no float is as large, at most 1.8e308"),
    ("low=0, high=9999", 'low=float("nan"), high=9999', "feature 'bill': low must be a finite number"),
    ("example=24.5", "example=-24.5", "feature 'bill': its example -24.5 is not allowed (allowed: a number from 0 to 9,999, or null)"),
    ('example="sat"', 'example="mon"', "feature 'day': its example 'mon' is not allowed (allowed: one of 'thu', 'fri',"),
    ("example=False", 'example="no"', "feature 'smokers': its example 'no' is not allowed (allowed: true or false, or null)"),
    ("categories=DAYS", 'categories=DAYS, labels={"mon": "Monday"}', "feature 'day': the label 'Monday' is for 'mon', which is not a value (values: one of 'thu',"),
    ('kind="boolean"', 'kind="boolean", labels={"yes": "smokes"}', "feature 'smokers': the label 'smokes' is for 'yes', which is not a value (values: True and False)"),
    ('name="guests"', 'name="guests", labels={0: "nobody"}', "feature 'guests': the label 'nobody' is for 0, which is not a value"),
    ("low=0, high=9999", "low=0, high=9999, labels={1: 'one'}", "feature 'bill': labels are for categories, booleans and whole numbers"),
    (GUESTS, GUESTS.replace('kind="integer"', 'kind="date"').replace("example=2", "").replace("low=1", "low=1990"), "feature 'guests': low=1990 is above"),
    (GUESTS, 'Feature(name="guests", kind="date", low=1990, high=2030, help="")', "feature 'guests': a date is bounded by whole centuries, such as low=1900, high=2099"),
    ('name="guests"', 'name=" guests"', "feature ' guests': its name has blanks at an end"),
    ('name="guests"', 'name=""', "feature '': name must not be empty"),
    ('name="guests"', 'name="customer_id"', "feature 'customer_id': every record may have a field of this name already"),
    ("help=\"The bill\",", "help=None,", "feature 'bill': help must be a valid string, not None"),
    ("required=True, low=0", 'required="yes", low=0', "feature 'bill': required must be a valid boolean, not 'yes'"),
    # names
    ('name="guests"', 'name="bill"', "the field 'bill' is declared twice"),
    ('inputs=("bill", ', 'inputs=("bil", ', "inputs has 'bil', which is not declared; did you mean 'bill'?"),
    ('inputs=("bill", ', 'inputs=("bill", "bill", ', "inputs has 'bill' twice"),
    (', "bill_per_guest"),', "),", "'bill_per_guest' is derived, but is not in inputs, so that no model sees it"),
    ('inputs=("bill", "guests", "day", "smokers", "bill_per_guest")', 'inputs=("bill")', "inputs must be a tuple, such as ('bill',), not 'bill'"),
    ('target="tip"', 'target="bill"', "the target 'bill' is among the features, so that the model is given the answer"),
    ('target="tip"', 'target="bill_per_guest"', "the target 'bill_per_guest' is among the derived features"),
    ('key="number"', 'key="tip"', "key is the target, 'tip': name another column, or leave key empty"),
    ('key="number"', 'key="number "', "key is 'number ', with blanks at an end"),
    ('key="number"', "key=None", "key must be a valid string, not None"),
    ('key="number"', 'key="number", dated="tip"', "dated is the target, 'tip'"),
    ('answer="tip"', 'answer="prediction_id"', "answer must be another key than 'prediction_id', which every answer may have"),
    ('answer="tip"', 'answer=""', "answer must"),
    ('name="NAME"', 'name="tips"', "its name is 'tips', not that of the file: write name='page', or rename the file"),
    ("DERIVED = (Feature(", "DERIVED = (dict(", "derived[0] must be made by Feature(…), not {"),
    (GUESTS, GUESTS.replace('kind="integer"', 'kind="integer", levels="learnt"'), """levels="learnt" is for kind="category", not 'integer'"""),
    ('categories=DAYS', 'categories=DAYS, levels="learnt"', 'levels="learnt" needs no categories: remove one of them'),
    ('categories=DAYS', 'levels="learnt", labels={"thu": "Thursday"}', 'levels="learnt" needs no labels: remove one of them'),
    ('categories=DAYS', 'levels="learned"', "levels must be 'declared' or 'learnt', not 'learned'; did you mean 'learnt'?"),
    ('kind="number", help="The bill divided', 'kind="category", levels="learnt", help="The bill divided', 'levels="learnt" is for features, not for derived ones'),
    # the search and the training
    (DEPTH, '"max_depht": Range(2, 5, integer=True)', "estimator 'xgboost': max_depht in space is not a parameter that can be set here; did you mean 'max_depth'?"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "n_estimators": 100}', "n_estimators in fixed is not a parameter that can be set here; did you mean 'rounds'?"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "rounds": "500"}', "fixed['rounds'] must be a whole number from 1, not '500'"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "rounds": 0}', "fixed['rounds'] must be a whole number from 1, not 0"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "max_depth": 5}', "max_depth is in fixed and in space: keep one"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "tree_method": "exact"}', "fixed['tree_method'] must be 'hist', not 'exact'"),
    (TREES, 'family="ridge", average=3', "average is 3, but only models of xgboost can be averaged: leave it out"),
    (DEPTH, '"rounds": Range(2, 5, integer=True)', "rounds is not searched: move it from space to fixed"),
    (DEPTH, '"max_depth": Range(5, 2, integer=True)', "estimator 'xgboost': space['max_depth']: the low bound 5 is not below the high bound 2"),
    (DEPTH, '"max_depth": Range(2, 5)', "space['max_depth']: it takes whole numbers: Range(2, 5, integer=True)"),
    (DEPTH, '"max_depth": Range(2.5, 5, integer=True)', "space['max_depth']: both bounds must be whole numbers"),
    (DEPTH, '"subsample": Range(0.5, 1.5)', "space['subsample']: this is a share, so both bounds must be above 0 and at most 1"),
    ("Range(0.05, 0.3, log=True)", "Range(0, 0.3, log=True)", "space['learning_rate']: the scale is logarithmic, so both bounds must be above 0"),
    ("Range(0.05, 0.3, log=True)", "(0.05, 0.3)", "estimator 'xgboost': space['learning_rate'] must be a Range or a Choice, not (0.05, 0.3)"),
    ("Range(0.05, 0.3, log=True)", "Choice(())", "estimator 'xgboost': space['learning_rate'] must not be empty"),
    ("Range(0.05, 0.3, log=True)", 'Range("0.05", 0.3)', "estimator 'xgboost': space['learning_rate']"),
    (TRIALS, "trials=0", "trials must be greater than or equal to 1, not 0"),
    (TRIALS, "trials=2.5", "trials must be a valid integer, not 2.5"),
    (TRIALS, "trials=5, retrain_best=10", "retrain_best=10 is above trials=5"),
    (TRIALS, "sample_rows=0", "sample_rows must be greater than or equal to 1, not 0"),
    (TRIALS, "mask_optional=-1.0", "mask_optional must be greater than or equal to 0, not -1.0"),
    (TRIALS, "split=(0.8, 0.2)", "split=(0.8, 0.2) leaves 0.0% of the rows for the test: leave 1% or more, as in (0.7, 0.15)"),
    (TRIALS, "split=(0.8, 0.195)", "leaves 0.5% of the rows for the test"),
    (TRIALS, "split=(70, 15)", "split.0 must be less than 1, not 70"),
    (TRIALS, "split=(0.9, 0.3)", "leaves 0.0% of the rows for the test"),
    (TRIALS, "split=(0.7, 0)", "split.1 must be greater than 0, not 0"),
    (TRIALS, "split=(0.7, 0.15, 0.15)", "split"),
    (TRIALS, "split=0.7", "split must be a tuple"),
    (TRIALS, 'promotes_to="production"', "promotes_to must be a tuple, such as ('production',), not 'production'"),
    (TRIALS, 'promotes_to=()', "promotes_to is empty, so no model could ever be promoted: name an alias"),
    (TRIALS, 'promotes_to=("v1",)', "promotes_to has 'v1': an alias consists of letters, digits, _ and -"),
    (TRIALS, 'promotes_to=("serving",)', "promotes_to has 'serving': an alias"),
    (TRIALS, 'promotes_to=("a", "a")', "promotes_to has 'a' twice"),
    (TRIALS, "promote_margin=5.0", "promote_margin must be less than 1, not 5.0"),
    ("version=1", 'version="1"', "version must be a valid integer, not '1'"),
    ("version=1", "version=0", "version must be greater than or equal to 1"),
    (TRIALS, 'missing=("Unknown", None)', "missing[1] must be text or a number, not None"),
    (TRIALS, 'missing=("Thu",)', "missing has 'Thu', which is a category of 'day': remove it from one of them"),
    (TRIALS, 'dated="bill"', "dated is 'bill', a feature of kind='number': name a column of days"),
    (TRIALS, 'download="www.example.org/t.csv"', "download is 'www.example.org/t.csv', not an address that begins"),
    ('task="amount"', 'task="regression"', "not 'regression'; did you mean 'amount'?"),
    (TRIALS, 'schedule=Schedule(train="every day")', "schedule: train='every day' is not cron, such as '0 6 2 * *' (06:00 on the 2nd of each month): it has 2 fields, not 5"),
    (TRIALS, 'schedule=Schedule(score="0 25 * * *")', "the hour '25' is not from 0 to 23"),
    (TRIALS, 'schedule=Schedule(score="0 1 * * monday")', "the weekday 'monday' is not from 0 to 7"),
    (TRIALS, 'schedule=Schedule(train="0 6 2 * *", timezone="Europe/Londn")', "schedule: timezone='Europe/Londn' is not known; did you mean 'Europe/London'?"),
    (TRIALS, 'schedule=Schedule(trian="0 6 2 * *")', "page.py, line 42: Schedule has no argument 'trian'; did you mean 'train'?"),
    (TRIALS, 'schedule="0 6 2 * *"', "schedule must be made by Schedule(…), not '0 6 2 * *'"),
    (TRIALS, 'envelope=Envelope(features="bill", answer="x")', "envelope: features='bill' is the name of a field, so plain records look wrapped"),
    (TRIALS, 'envelope=Envelope(features="x", answer="customer_id")', "envelope: answer must be another key than 'customer_id'"),
    (TRIALS, 'envelope=Envelope(features="", answer="x")', "envelope.features"),
    (TRIALS, 'envelope={"features": "x"}', "envelope must be made by Envelope(…)"),
    # functions
    ("clean=lambda table: table", "clean=None", "clean must be callable, not None"),
    ("clean=lambda table: table", "clean=lambda: None", "clean is called as clean(table), but takes other arguments"),
    (TRIALS, "sample=lambda rows, seed: {}", "sample is called as sample(rows, seed, drift), but takes other arguments"),
    ("def derive(record)", "def derive(record, table)", "derive is called as derive(record), but takes other arguments"),
    ("derive=derive", "derive=derive(None)", "page.py, line 26: AttributeError: 'NoneType' object has no attribute 'get'"),
    (RETURN, "None", "derive returns None, not a record such as {**record, …}, for the record of the examples: {'bill': 24.5"),
    (RETURN, '{"bill_per_guest": None}', "derive drops 'bill': return {**record, …}, for the record of the examples"),
    (RETURN, "record", "derive forgets 'bill_per_guest' for the record of the examples: {'bill': 24.5"),
    (RETURN, '{**record, "bill_per_gest": 1.0}', "derive forgets 'bill_per_guest', but returns the undeclared 'bill_per_gest'"),
    (RETURN, 'record.update(bill_per_guest=1.0) or record', "derive changes the record that it is given: return a new one"),
    (DIVIDE, "bill / guests", "derive raises TypeError (unsupported operand type(s) for /: 'NoneType' and 'int') in line 16 for bill is null: {'bill': None, 'guests': 2"),
    ('record.get("bill")', 'record["smokers"]', "derive raises KeyError ('smokers') in line 15 for smokers is absent"),
    (DIVIDE, "float('inf')", "derive gives 'bill_per_guest' the value inf, but it must be a finite number (of 32 bits), for"),
    (DIVIDE, "'much'", "derive gives 'bill_per_guest' the value 'much', but it must be a finite number"),
    (DIVIDE, "True", "derive gives 'bill_per_guest' the value True: declare it with kind=\"boolean\""),
    (DIVIDE, "__import__('random').random()", "it may use only the record, for"),
    ('kind="number", help="The bill divided', 'kind="category", categories=("high",), help="The bill divided', "derive gives 'bill_per_guest' the value 12.25, but it must be one of 'high', or null, for"),
    ('kind="number", help="The bill divided', 'kind="number", nullable=False, help="The bill divided', "derive gives 'bill_per_guest' None, although nullable=False, for bill is null"),
    ('kind="number", help="The bill divided', 'kind="integer", help="The bill divided', "the value 12.25, but it must be a whole number"),
    ("derive=derive,", "", "derive forgets 'bill_per_guest'"),
    (DIVIDE, "10**400", "derive gives 'bill_per_guest' the value 10000"),
    (DIVIDE, "1e300", "derive gives 'bill_per_guest' the value 1e+300, but it must be a finite number (of 32 bits)"),
    (DIVIDE, "__import__('sys').exit(1)", "derive raises SystemExit (1) in line 16"),
    (DEPTH, '"max_depth": Choice(("2", "5"))', "space['max_depth'] can offer a number, not '2'"),
    (DEPTH, '"max_depth": Choice((2.5, 5))', "space['max_depth'] can offer a whole number, not 2.5"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "subsample": 5}', "fixed['subsample'] must be a share, above 0"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "max_leaves": 5.5}', "fixed['max_leaves'] must be a whole number"),
    (OBJECTIVE, 'fixed={"objective": "reg:squarederror", "reg_lambda": -1}', "fixed['reg_lambda'] must be a number from 0"),
    ("reg:squarederror", "reg:quantileerror", "needs the quantile in fixed, such as \"quantile_alpha\": 0.5"),
    ("features=FEATURES", "features={f.name: f for f in FEATURES}", "features must be a tuple, such as (…,), not {'bill'"),
    ('kind="boolean"', 'kind=["boolean"]', "feature 'smokers': kind must be 'integer', 'number'"),
    # arguments, files and imports
    ("target=", "tarrget=", "page.py, line 19: UseCase has no argument 'tarrget'; did you mean 'target'?"),
    ('target="tip",', "", "page.py, line 19: UseCase needs 'target'"),
    ("categories=DAYS, ", "category=DAYS, ", "page.py, line 8: Feature has no argument 'category'; did you mean 'categories'?"),
    ('help="The bill", ', "", "page.py, line 6: Feature needs 'help'"),
    ('Feature(name="bill", kind="number", ', 'Feature("bill", "number", ', "page.py, line 6: Feature takes names only, such as name=…, kind=…"),
    ("categories=DAYS, ", "categories=DAYZ, ", "page.py, line 8: NameError: name 'DAYZ' is not defined"),
    ("use_case = UseCase(", "use_case = UseCase((", "page.py, line"),
    ("Choice, Envelope,", "Choise, Envelope,", "page.py, line 2: scorehouse.usecase has no 'Choise': write `from scorehouse.usecase import Choice`"),
    ("from scorehouse.usecase import", "from scorehous.usecase import", "page.py, line 2: No module named 'scorehous'. A page imports from scorehouse.usecase: "),
    ("from scorehouse.usecase import", "from scorehouse.usecases import", "page.py, line 2: No module named 'scorehouse.usecases'. A page imports from scorehouse.usecase: "),
    ("from scorehouse.usecase import", "from scorehouse.usecase import Feture,", "page.py, line 2: scorehouse.usecase has no 'Feture': write `from scorehouse.usecase import Feature`"),
    ("from scorehouse.usecase import", "from scorehouse.usecase import qqq,", "page.py, line 2: scorehouse.usecase has no 'qqq': a page imports "),
    ("from scorehouse.usecase import", "from scorehouse import UseCase\nfrom scorehouse.usecase import", "page.py, line 2: scorehouse has no 'UseCase': write `from scorehouse.usecase import UseCase`"),
    ("from scorehouse.usecase import", "from math import sinus\nfrom scorehouse.usecase import", "page.py, line 2: math has no 'sinus'"),
    ("DAYS = (", "import no_such_library\nDAYS = (", "page.py, line 4: No module named 'no_such_library'. Import what only clean needs inside clean, because"),
    ("DAYS = (", "raise SystemExit(3)\nDAYS = (", "page.py, line 4: SystemExit: 3"),
    ("DAYS = (", "open('no-such-table.csv')\nDAYS = (", "page.py, line 4: FileNotFoundError: [Errno 2] No such file or directory: 'no-such-table.csv'"),
    ("use_case = UseCase(", "usecase = UseCase(", "page.py declares no `use_case = UseCase(...)`"),
    ("use_case = UseCase(", "use_case = dict(", "page.py declares no `use_case = UseCase(...)`, but a use_case that is {"),
    ("features=FEATURES", "features=()", "features must not be empty"),
    ("features=FEATURES", 'features=("bill", "day")', "features[0] must be made by Feature(…), not 'bill'"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "words"), MISTAKES, ids=[f"{w}"[:60] for _, w, _ in MISTAKES])
def test_a_mistake_is_one_line_that_says_what_would_be_right(right: str, wrong: str, words: str, pages: Pages) -> None:
    said = pages.refusal((right, wrong))
    assert words in said
    assert "Traceback" not in said
    assert said.startswith("use_cases/page.py")


def test_the_page_without_a_mistake_is_loaded(pages: Pages) -> None:
    assert [f.name for f in pages.load().columns] == ["bill", "guests", "day", "smokers", "bill_per_guest"]


def test_several_mistakes_are_said_together(pages: Pages) -> None:
    said = pages.refusal((RANK, 'rank_by="logloss"'), ('target="tip"', 'target="bill"'))
    first, *faults = said.splitlines()
    assert first == "use_cases/page.py has 2 faults:"
    assert len(faults) == 2
    assert all(fault.startswith("  ") for fault in faults)


def test_types_are_judged_together_too(pages: Pages) -> None:
    said = pages.refusal(('kind="boolean"', 'kind="bool"'), ("version=1", 'version="1"'), (TRIALS, "trials=0"))
    assert said.splitlines()[0] == "use_cases/page.py has 3 faults:"


def test_lists_are_as_good_as_tuples(pages: Pages) -> None:
    loaded = pages.load((DAYS, '["thu", "fri", "sat", "sun"]'), ("features=FEATURES", "features=list(FEATURES)"))
    assert loaded.features[2].categories == ("thu", "fri", "sat", "sun")
    assert len({*loaded.features}) == 4


def test_a_bound_of_more_than_64_bits_is_a_float_because_no_bundle_holds_it_otherwise(pages: Pages) -> None:
    bill = pages.load(("low=0, high=9999", "low=0, high=10**30")).features[0]
    assert type(bill.high) is float and orjson.loads(orjson.dumps(bill.high)) == 1e30


def test_values_of_numpy_become_pythons(pages: Pages) -> None:
    loaded = pages.load(
        ("DAYS = (", 'import numpy as np\nDAYS = ("thu", "fri", "sat", "sun")\nOTHERS = ('),
        ("categories=DAYS", "categories=tuple(np.array([3, 4])), unseen='missing'"),
        ('example="sat"', "example=np.int64(3)"),
        ("low=1, high=100", "low=np.int64(1), high=np.float64(100)"),
    )
    _, guests, day, _ = loaded.features
    assert [type(v) for v in (*day.categories, day.example, guests.low, guests.high)] == [int, int, int, int, float]


def test_without_inputs_the_model_sees_all_features_and_then_the_derived_ones(pages: Pages) -> None:
    loaded = pages.load(('inputs=("bill", "guests", "day", "smokers", "bill_per_guest"),', ""))
    assert [f.name for f in loaded.columns] == ["bill", "guests", "day", "smokers", "bill_per_guest"]


def test_dates_that_nothing_derives_a_number_from_are_refused(pages: Pages) -> None:
    day = 'Feature(name="day", kind="date", low=1900, high=2099, help="")'
    more = PAGE.replace("derive=derive,", "").replace("derived=DERIVED,", "").replace(', "bill_per_guest"),', "),")
    begin = more.index('    Feature(name="day"')
    more = more[:begin] + f"    {day},\n" + more[more.index('    Feature(name="smokers"') :]
    said = pages.refusal(text=more)
    advice = 'give it parts, such as parts=("month", "weekday"), or derive a number from it'
    assert f"inputs has the date 'day', which no model can read: {advice}" in said
    assert f"no model can read the date 'day': {advice}" in said


DATED = PAGE.replace("derive=derive,", "").replace("derived=DERIVED,", "")
ORDERED = 'Feature(name="ordered", kind="datetime", low=1900, high=2099, help="Ordered", parts=("weekday", "hour"))'
INPUTS = 'inputs=("bill", "guests", "day", "smokers", "bill_per_guest"),'


def test_the_parts_of_a_date_are_columns_in_its_place(pages: Pages) -> None:
    loaded = pages.load((GUESTS, ORDERED), (INPUTS, ""), text=DATED)
    assert [f.name for f in loaded.columns] == ["bill", "ordered_weekday", "ordered_hour", "day", "smokers"]
    weekday = loaded.columns[1]
    assert (weekday.kind, weekday.low, weekday.high, weekday.labels[0]) == ("integer", 0, 6, "Monday")
    named = pages.load((GUESTS, ORDERED), (INPUTS, 'inputs=("ordered_hour", "ordered_weekday"),'), text=DATED)
    assert [f.name for f in named.columns] == ["ordered_hour", "ordered_weekday"]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ('"bill", "ordered"', "inputs has the datetime 'ordered', which no model can read: name its parts, such as 'ordered_weekday'"),
        ('"bill", "ordered_hour"', "'ordered_weekday' is a part, but is not in inputs, so that no model sees it: add it or remove the part"),
        ('"bill", "ordered_hours", "ordered_weekday"', "inputs has 'ordered_hours', which is not declared; did you mean 'ordered_hour'?"),
    ],
)  # fmt: skip
def test_inputs_name_the_parts_of_a_date(pages: Pages, inputs: str, words: str) -> None:
    assert words in pages.refusal((GUESTS, ORDERED), (INPUTS, f"inputs=({inputs}),"), text=DATED)


def test_derive_sees_the_parts_and_may_not_drop_them(pages: Pages) -> None:
    both = (GUESTS, f"{GUESTS}, {ORDERED}")
    seen = ('"bill_per_guest": ' + DIVIDE, '"bill_per_guest": (record.get("ordered_hour") or 0) / 24')
    named = ('"bill_per_guest"),', '"bill_per_guest", "ordered_hour"),')  # the weekday is only for derive
    loaded = pages.load(both, seen, named)
    assert [f.name for f in loaded.columns][-1] == "ordered_hour"
    forgets = ("{**record, ", '{**{k: v for k, v in record.items() if k != "ordered_hour"}, ')
    assert "derive drops 'ordered_hour': return {**record, …}" in pages.refusal(both, forgets)


def test_the_target_may_not_be_a_part(pages: Pages) -> None:
    named = ('target="tip"', 'target="ordered_hour"')
    said = pages.refusal((GUESTS, ORDERED), (INPUTS, ""), named, text=DATED)
    assert "the target 'ordered_hour' has the name of a part of a date: rename it in clean, or remove the part" in said


def test_a_page_whose_mask_has_no_effect_is_refused(pages: Pages) -> None:
    said = pages.refusal(('kind="boolean", help', 'kind="boolean", required=True, help'), (TRIALS, "mask_optional=0.3"))
    assert "mask_optional has no effect, because every feature is required" in said


def test_a_page_is_checked_once(pages: Pages) -> None:
    name = pages.write()
    assert load_use_case(name) is load_use_case(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "USE_CASE is 'nowhere', but there is no use_cases/nowhere.py; there are churn, claims, "),
        ("chrun", "there is no use_cases/chrun.py; there are churn, claims, "),
    ],
)
def test_an_unknown_use_case_is_named_with_the_nearest(name: str, words: str) -> None:
    with pytest.raises(UseCaseError) as refused:
        load_use_case(name)
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["churn", "claims", "flights", "insurance", "wine"])
def test_our_own_pages_have_no_fault_and_are_checked_fast(name: str) -> None:
    declared = load_use_case(name)
    began = process_time()
    assert list(checks.faults(declared)) == []
    assert list(derive_faults(declared)) == []
    assert process_time() - began < 0.5  # 0.02 s where nothing else runs


def test_every_family_is_asked_only_for_what_its_library_knows() -> None:
    """The lists in families.py against scikit-learn's classes; XGBoost's are tried in tests/integration."""
    import inspect

    from sklearn.ensemble import RandomForestRegressor
    from sklearn.linear_model import Lasso, Ridge
    from sklearn.svm import SVC

    classes = {"random_forest": RandomForestRegressor, "ridge": Ridge, "lasso": Lasso, "svc": SVC}
    for family, of in classes.items():
        known = set(inspect.signature(of).parameters) | {"rare_class_power"}
        assert families.FAMILIES[family].parameters <= known, family  # type: ignore[index]


def test_a_page_may_leave_out_what_is_tried_and_how_it_is_ranked(pages: Pages) -> None:
    source = re.sub(r"    estimators=\(.*?\n    \),\n", "", PAGE, flags=re.DOTALL).replace('    rank_by="mae",\n', "")
    case = pages.load(text=source)
    assert (case.rank_by, [e.family for e in case.estimators]) == ("rmse", ["xgboost"])
