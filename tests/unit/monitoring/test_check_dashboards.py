"""The checker of queries: which variables it fills in, what it calls a fault, and what may find nothing."""

from __future__ import annotations

import pytest

from monitoring.check_dashboards import MAY_BE_EMPTY, Query, judge, rule_queries
from monitoring.promql import Prometheus, fill_variables, find_selectors


class FakePrometheus(Prometheus):
    """A Prometheus that has data for some expressions."""

    def __init__(self, *exprs: str):
        self.exprs = exprs

    def finds(self, expr: str, over_time: bool) -> bool:
        if expr == "no PromQL":
            raise ValueError("parse error")
        return expr in self.exprs


def query(expr: str, may_be_empty: bool = False) -> Query:
    return Query("here", expr, over_time=False, may_be_empty=may_be_empty)


def test_variables_are_filled_as_grafana_fills_them() -> None:
    expr = 'rate(x{a="$use_case", b=~"${run:regex}"}[$__rate_interval])'
    assert fill_variables(expr, {"use_case": "churn", "run": "r"}) == 'rate(x{a="churn", b=~"r"}[1m])'
    with pytest.raises(KeyError):
        fill_variables("x{a='$nobody'}", {})


def test_selectors_are_found_with_their_matchers_and_strings_are_none() -> None:
    expr = 'sum by (door) (rate(scorehouse_a_total{x="up", y=~"}"}[5m])) / scorehouse:b:c unless up == 0'
    assert find_selectors(expr) == ['scorehouse_a_total{x="up",y=~"}"}', "scorehouse:b:c", "up"]


def test_selectors_keep_escapes_and_lose_their_offset() -> None:
    expr = r'a{b=~"x\\.y", c="\" offset 5m"} - a{b=~"x\\.y", c="\" offset 5m"} offset 15m or rate(d[5m] offset 1h)'
    assert find_selectors(expr) == [r'a{b=~"x\\.y",c="\" offset 5m"}', "d"]


def test_selectors_of_something_else_than_promql_are_refused() -> None:
    with pytest.raises(ValueError, match="invalid promql"):
        find_selectors("no PromQL")


def test_a_query_that_finds_data_is_not_at_fault() -> None:
    assert judge(query("scorehouse_x"), FakePrometheus("scorehouse_x")) == ("data", "")


def test_a_metric_without_data_is_a_fault_even_in_an_alert() -> None:
    judged = judge(query("scorehouse_x > 1 and scorehouse_y > 1", may_be_empty=True), FakePrometheus("scorehouse_x"))
    assert judged == ("fault", "no data for scorehouse_y")


def test_an_alert_may_find_nothing_and_a_panel_may_not() -> None:
    prometheus = FakePrometheus("scorehouse_x")
    assert judge(query("scorehouse_x > 1", may_be_empty=True), prometheus) == ("empty", "its metrics have data")
    assert judge(query("scorehouse_x > 1"), prometheus) == ("fault", "no data, although every metric in it has data")


def test_a_counter_that_starts_with_the_first_failure_may_be_missing() -> None:
    judged = judge(query("rate(scorehouse_stream_retries_total[1m])"), FakePrometheus())
    assert judged == ("empty", "set from the first retry on")


def test_an_expression_that_is_not_promql_is_a_fault() -> None:
    assert judge(query("no PromQL"), FakePrometheus()) == ("fault", "parse error")


def test_every_rule_is_asked_and_so_is_every_recorded_series() -> None:
    queries = {q.where: q for q in rule_queries()}
    assert queries["alerts.yml: DriftDetected"].may_be_empty
    assert not queries["recording.yml: scorehouse:predictions:rate5m"].may_be_empty
    assert queries["recording.yml: scorehouse:predictions:rate5m, recorded"].expr == "scorehouse:predictions:rate5m"


def test_every_excuse_has_a_reason() -> None:
    assert all(len(reason) > 5 for reason in MAY_BE_EMPTY.values())
