"""The checker: what it fills in, what it takes for a fault, and what may find nothing."""

from __future__ import annotations

import pytest

from monitoring.check_dashboards import MAY_BE_EMPTY, Asked, asked_by_rules, judge
from monitoring.promql import Prometheus, filled, selectors


class Known(Prometheus):
    """A Prometheus that has data for some expressions."""

    def __init__(self, *exprs: str):
        self.exprs = exprs

    def finds(self, expr: str, over_time: bool) -> bool:
        if expr == "no PromQL":
            raise ValueError("parse error")
        return expr in self.exprs


def asked(expr: str, quiet: bool = False) -> Asked:
    return Asked("here", expr, over_time=False, quiet=quiet)


def test_variables_are_filled_as_grafana_fills_them() -> None:
    expr = 'rate(x{a="$use_case", b=~"${run:regex}"}[$__rate_interval])'
    assert filled(expr, {"use_case": "churn", "run": "r"}) == 'rate(x{a="churn", b=~"r"}[1m])'
    with pytest.raises(KeyError):
        filled("x{a='$nobody'}", {})


def test_selectors_are_found_with_their_matchers_and_strings_are_none() -> None:
    expr = 'sum by (door) (rate(scorehouse_a_total{x="up", y=~"}"}[5m])) / scorehouse:b:c unless up == 0'
    assert selectors(expr) == ['scorehouse_a_total{x="up", y=~"}"}', "scorehouse:b:c", "up"]


def test_what_finds_data_is_no_fault() -> None:
    assert judge(asked("scorehouse_x"), Known("scorehouse_x")) == ("data", "")


def test_a_metric_without_data_is_a_fault_even_in_an_alert() -> None:
    told = judge(asked("scorehouse_x > 1 and scorehouse_y > 1", quiet=True), Known("scorehouse_x"))
    assert told == ("fault", "no data for scorehouse_y")


def test_an_alert_that_is_not_raised_is_well_and_a_panel_that_shows_nothing_is_not() -> None:
    house = Known("scorehouse_x")
    assert judge(asked("scorehouse_x > 1", quiet=True), house) == ("none", "its metrics are there")
    assert judge(asked("scorehouse_x > 1"), house) == ("fault", "no data, though every metric in it has some")


def test_what_is_counted_only_when_something_is_wrong_may_be_missing() -> None:
    told = judge(asked("rate(scorehouse_stream_retries_total[1m])"), Known())
    assert told == ("none", "counted from the first on")


def test_what_is_no_promql_is_told() -> None:
    assert judge(asked("no PromQL"), Known()) == ("fault", "parse error")


def test_every_rule_is_asked_and_what_is_recorded_too() -> None:
    asked = {a.where: a for a in asked_by_rules()}
    assert asked["alerts.yml: DriftDetected"].quiet
    assert not asked["recording.yml: scorehouse:predictions:rate5m"].quiet
    assert asked["recording.yml: scorehouse:predictions:rate5m, recorded"].expr == "scorehouse:predictions:rate5m"


def test_every_excuse_has_a_reason() -> None:
    assert all(len(reason) > 5 for reason in MAY_BE_EMPTY.values())
