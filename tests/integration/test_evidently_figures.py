"""The live figures against real Evidently reports of the same columns, within 1e-6 at every window size."""

import warnings

import numpy as np
import pandas as pd
import pytest

from monitoring.evidently_service.drift.evidently_figures import evidently_figures
from monitoring.evidently_service.drift.statistics import Column, Floats, prepare

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # importing Evidently touches numpy.core
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

COLUMNS: list[Column] = [
    ("smooth", "number"),
    ("skewed_with_gaps", "number"),
    ("tied", "number"),
    ("six_values", "number"),
    ("five_values", "number"),
    ("two_values", "number"),
    ("constant_number", "number"),
    ("constant_until_now", "number"),
    ("with_infinities", "number"),
    ("letters", "category"),
    ("rare_cells_with_gaps", "category"),
    ("unseen", "category"),
    ("yes_no", "category"),
    ("one_side_two", "category"),
    ("constant_category", "category"),
]
REFERENCE_ROWS = (200, 1000, 1001, 5000)
WINDOW_ROWS = (1, 2, 5, 31, 200, 499, 1000, 2000)


def sample_rows(rows: int, generator: np.random.Generator, *, window: bool) -> Floats:
    """One side of the comparison: a window is shifted, has values the reference lacks, and gaps of its own."""
    shift = 0.3 if window else 0.0
    skewed = generator.lognormal(3 + shift, 1, rows)
    rare = generator.choice(7, rows, p=[0.9, 0.05, 0.02, 0.01, 0.01, 0.005, 0.005]).astype(float)
    for gappy, share in ((skewed, 0.3), (rare, 0.1)):
        gappy[1:][generator.random(rows - 1) < share] = np.nan  # the first row stays: Evidently refuses an empty column
    infinite = generator.normal(shift, 1, rows)
    infinite[1::50] = np.inf
    infinite[2::70] = -np.inf
    return np.column_stack(
        [
            generator.normal(shift, 1, rows),
            skewed,
            np.round(generator.gamma(2 + shift, 3, rows)),
            generator.integers(0, 6, rows),
            generator.integers(0, 5, rows),
            generator.random(rows) < 0.3 + shift,
            np.full(rows, 4.5),
            generator.normal(0.1, 0.001, rows) if window else np.full(rows, 0.1),
            infinite,
            generator.choice(4, rows, p=[0.4, 0.3, 0.2, 0.1]),
            rare,
            generator.choice(4 if window else 3, rows),
            generator.random(rows) < 0.5,
            generator.choice(2, rows) if window else np.zeros(rows),
            np.full(rows, 3.0),
        ]
    ).astype(np.float64)


def evidently_scores(reference: Floats, window: Floats) -> dict[str, tuple[str, float]]:
    """Method and score of each column from a real report."""
    names = [name for name, _ in COLUMNS]
    definition = DataDefinition(
        numerical_columns=[name for name, kind in COLUMNS if kind == "number"],
        categorical_columns=[name for name, kind in COLUMNS if kind == "category"],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Evidently's own summaries and plots stumble over infinities and constants
        datasets = [Dataset.from_pandas(pd.DataFrame(side, columns=names), definition) for side in (window, reference)]
        metrics = Report([DataDriftPreset()]).run(*datasets).dict()["metrics"]
    return {
        metric["config"]["column"]: (metric["config"]["method"], float(metric["value"]))
        for metric in metrics
        if metric["config"]["type"].endswith("ValueDrift")
    }


METHOD_NAMES = {
    "ks": "K-S p_value",
    "chisquare": "chi-square p_value",
    "z": "Z-test p_value",
    "wasserstein": "Wasserstein distance (normed)",
    "jensenshannon": "Jensen-Shannon distance",
}


@pytest.mark.parametrize("reference_rows", REFERENCE_ROWS)
def test_every_score_equals_evidentlys_own_at_every_window_size(reference_rows: int) -> None:
    generator = np.random.default_rng(reference_rows)
    reference = sample_rows(reference_rows, generator, window=False)
    prepared = prepare(reference, COLUMNS)
    for window_rows in WINDOW_ROWS:
        window = sample_rows(window_rows, generator, window=True)
        figures = evidently_figures(prepared, prepare(window, COLUMNS))
        theirs = evidently_scores(reference, window)
        assert {figure.name for figure in figures} == set(theirs)
        for figure in figures:
            method, score = theirs[figure.name]
            assert figure.method is not None and METHOD_NAMES[figure.method] == method, (window_rows, figure)
            assert figure.score == pytest.approx(score, abs=1e-6), (window_rows, figure)
            assert 0 <= figure.p_value <= 1
