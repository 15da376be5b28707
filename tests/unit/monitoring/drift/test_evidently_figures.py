"""Evidently's choice of method and the p value that is always one; the scores are held to real reports elsewhere."""

import numpy as np
import pytest
from numpy.typing import ArrayLike

from monitoring.evidently_service.drift.evidently_figures import EvidentlyFigure, evidently_figures
from monitoring.evidently_service.drift.statistics import Kind, Table, prepare
from monitoring.evidently_service.drift.verdict import compare


def table_of(values: ArrayLike, kind: Kind) -> Table:
    return prepare(np.asarray(values, dtype=np.float64).reshape(-1, 1), [("column", kind)])


def figure_of(reference: ArrayLike, window: ArrayLike, kind: Kind) -> EvidentlyFigure:
    return evidently_figures(table_of(reference, kind), table_of(window, kind))[0]


@pytest.mark.parametrize(
    ("reference_rows", "values", "kind", "method"),
    [
        (1000, 6, "number", "ks"),
        (1000, 5, "number", "chisquare"),
        (1000, 2, "number", "z"),
        (1000, 1, "number", "z"),
        (1001, 6, "number", "wasserstein"),
        (1001, 5, "number", "jensenshannon"),
        (1000, 6, "category", "chisquare"),
        (1000, 2, "category", "z"),
        (1001, 6, "category", "jensenshannon"),
    ],
)
def test_the_method_follows_from_reference_size_kind_and_distinct_values(
    reference_rows: int, values: int, kind: Kind, method: str
) -> None:
    figure = figure_of(np.arange(reference_rows) % values, np.arange(60) % values, kind)
    assert figure.method == method
    assert not figure.drifted


def test_missing_reference_rows_count_against_the_limit_of_a_thousand() -> None:
    reference = np.arange(1100.0)
    reference[:100] = np.nan
    assert figure_of(reference, np.arange(50.0), "number").method == "ks"


def test_where_the_score_is_a_distance_the_p_value_is_the_verdicts() -> None:
    generator = np.random.default_rng(0)
    reference, window = generator.normal(0, 1, 3000), generator.normal(0.4, 1, 300)
    figure = figure_of(reference, window, "number")
    samples = (table_of(side, "number").columns["column"] for side in (reference, window))
    assert figure.score == pytest.approx(0.4, abs=0.15)
    assert figure.drifted
    assert figure.p_value == compare(next(samples), next(samples))[1] < 1e-4


def test_an_unseen_category_gives_evidently_p_zero() -> None:
    figure = figure_of(np.arange(900) % 3, np.arange(40) % 4, "category")
    assert (figure.score, figure.p_value, figure.drifted) == (0.0, 0.0, True)


@pytest.mark.parametrize("side", ["reference", "window"])
def test_a_side_without_values_has_no_score_but_a_p_value(side: str) -> None:
    full, empty = np.arange(500.0), np.full(500, np.nan)
    reference, window = (empty, full) if side == "reference" else (full, empty)
    figure = figure_of(reference, window, "number")
    assert (figure.method, figure.score, figure.drifted) == (None, None, False)
    assert figure.p_value < 1e-4, "all values gone missing is a difference"


def test_a_window_without_rows_has_a_p_value_of_one() -> None:
    assert figure_of(np.arange(500.0), np.array([]), "number").p_value == 1.0
