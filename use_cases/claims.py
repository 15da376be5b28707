"""Claims: will this insurance applicant make a claim? Models are trained monthly and score a batch every night."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from scorehouse.usecase import Estimator, Feature, Range, Schedule, UseCase

if TYPE_CHECKING:
    import pandas as pd

TARGET = "claim_status"
DATED = "application_date"
YES_NO = {0: "no", 1: "yes"}
SCORES = (None, None)  # bounds of a score: none
WHOLE = (0, 2000)  # bounds of a credit score


def _codes(*codes: str | int) -> dict[Any, str]:
    return {code: str(code) for code in codes}


def _field(name: str, within: tuple[float | None, float | None], help: str, example: float, unit: str = "") -> Feature:
    kind: Any = "number" if within == SCORES or name == "income" else "integer"
    return Feature(
        name=name, kind=kind, required=True, nullable=False, low=within[0], high=within[1], unit=unit,
        help=help, example=example,
    )  # fmt: skip


def _category(name: str, labels: Mapping[Any, str], help: str, example: str | int) -> Feature:
    return Feature(
        name=name, kind="category", required=True, nullable=False, categories=tuple(labels), labels=labels,
        help=help, example=example,
    )  # fmt: skip


# No field may be null, because the table has no gaps and a model could not learn what a gap means.
# These columns of the table are left out:
# - the row number;
# - family_history_3 and employment_type, of which four fifths and three quarters are empty;
# - insurance_hist_2, insurance_hist_3 and insurance_hist_5, which are rescaled copies of financial_hist_1,
#   financial_hist_3 and income.
NUMBERS = (
    _field("age", (0, 130), "Age of the applicant", 55, "years"),
    _field("height_cm", (30, 280), "Height", 173, "cm"),
    _field("weight_kg", (10, 500), "Weight", 83, "kg"),
    _field("income", (0, 1e8), "Yearly income", 131_000, "pounds"),
    *(_field(f"financial_hist_{i}", SCORES, f"Financial history, score {i}", 0.0) for i in (1, 2, 3, 4)),
    *(_field(f"credit_score_{i}", WHOLE, f"Credit score of agency {i}", 400) for i in (1, 2, 3)),
    *(_field(f"insurance_hist_{i}", SCORES, f"Insurance history, score {i}", 0.0) for i in (1, 4)),
    _field("bmi", (3, 6000), "Body mass index", 27, "kg/m2"),
)
CATEGORIES = (
    _category("gender", _codes(0, 1), "Gender, as coded on the form", 0),
    _category("marital_status", _codes(*"ABCDEF"), "Marital status, as coded on the form", "D"),
    _category("occupation", _codes(*"ABCDEFG"), "Group of occupations", "C"),
    _category("location", _codes(*ascii_uppercase), "Region", "U"),
    _category("prev_claim_rejected", YES_NO, "Was an earlier claim rejected?", 0),
    _category("known_health_conditions", YES_NO, "Are health conditions known?", 0),
    _category("uk_residence", YES_NO, "Lives in the United Kingdom?", 1),
    *(_category(f"family_history_{i}", YES_NO, f"Family history, item {i}", 0) for i in (1, 2, 4, 5)),
    _category("product_var_1", YES_NO, "Product option 1", 0),
    _category("product_var_2", YES_NO, "Product option 2", 1),
    _category("product_var_3", _codes(*"ABCD"), "Product variant", "C"),
    _category("product_var_4", YES_NO, "Product option 4", 1),
    _category("health_status", _codes(1, 2, 3, 4), "State of health, as assessed", 2),
    _category("driving_record", _codes(1, 2, 3, 4), "Driving record, as assessed", 3),
    _category("previous_claim_rate", _codes(1, 2, 3, 4, 5), "Rate of earlier claims, 1 lowest", 2),
    _category("education_level", _codes(*range(7)), "Level of education", 3),
    _category("income level", _codes(*range(5)), "Band of income, 50,000 pounds each", 2),
    _category("n_dependents", _codes(1, 2, 3, 4, 5), "Dependents", 2),
)
FEATURES = (*NUMBERS, *CATEGORIES)


def clean(table: pd.DataFrame) -> pd.DataFrame:
    """Keep the features, the target and the date. A day's applications have no target yet."""
    others = [column for column in (TARGET, DATED) if column in table]
    return table[[*(f.name for f in FEATURES), *others]]


# The sample imitates the published generator. A few of its codes depend on the outcome; its numbers come from clusters.
FLIPPED = 0.035  # share of rows whose outcome is random
# The generator's numeric columns in the order in which it makes them, with the range of whole numbers to which some are
# scaled: seven informative columns, four mixtures of those, three copies and two columns of noise.
GENERATED: Mapping[str, tuple[float, float] | None] = {
    "height_cm": (140, 210), "financial_hist_4": None, "age": (18, 95), "weight_kg": (45, 125),
    "credit_score_1": (0, 999), "financial_hist_1": None, "financial_hist_3": None, "insurance_hist_1": None,
    "credit_score_2": (0, 700), "credit_score_3": (0, 710), "income": (0, 250_000), "insurance_hist_3": None,
    "insurance_hist_5": None, "insurance_hist_2": None, "insurance_hist_4": None, "financial_hist_2": None,
}  # fmt: skip
CLAIMANTS = (False, True, False, True)  # whether the applicants of each cluster make a claim
SHARES = (0.425, 0.075, 0.425, 0.075)  # of the applicants, by cluster


@cache
def clusters() -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray, np.ndarray]:
    """Return the clusters of the published rows and the least and greatest values of the columns, (16,) each.

    A cluster is its mean, (16,), and its spread, (16, 16). Samples draw new applicants from these clusters. The
    published generator itself cannot give new applicants: its seed always gives the same 10,000 rows, and another seed
    gives other clusters, of which a model knows nothing.
    """
    from sklearn.datasets import make_classification

    rows, _ = make_classification(
        n_samples=10_000, n_features=16, n_informative=7, n_redundant=4, n_repeated=3, class_sep=1.2, flip_y=0,
        weights=[0.85, 0.15], shuffle=False, random_state=1889,
    )  # fmt: skip
    shapes = []
    for cluster in np.split(rows, (np.cumsum(SHARES[:-1]) * len(rows)).round().astype(int)):
        _, lengths, directions = np.linalg.svd(cluster - cluster.mean(axis=0), full_matrices=False)
        shapes.append((cluster.mean(axis=0), lengths[:, None] * directions / np.sqrt(len(cluster))))
    return shapes, rows.min(axis=0), rows.max(axis=0)


def _applicants(rng: np.random.Generator, rows: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the numeric columns by name, (rows,) each, and who makes a claim, (rows,)."""
    shapes, low, high = clusters()
    cluster = rng.choice(4, rows, p=SHARES)
    values = rng.standard_normal((rows, len(GENERATED)))
    for k, (mean, spread) in enumerate(shapes):
        values[cluster == k] = mean + values[cluster == k] @ spread
    columns = {}
    for name, to, column, *ends in zip(GENERATED, GENERATED.values(), values.T, low, high, strict=True):
        columns[name] = column if to is None else np.interp(column, ends, to) // 1
    return columns, np.array(CLAIMANTS)[cluster]


def sample(rows: int, seed: int, drift: float = 0.0) -> dict[str, np.ndarray]:
    """Generate a raw table like the publisher's.

    Drift, 0 to 1, lowers incomes and credit scores and makes more outcomes random.
    """
    rng = np.random.default_rng(seed)
    columns, claimant = _applicants(rng, rows)
    coin = rng.random(rows) < FLIPPED + 0.3 * drift
    claims = np.where(coin, rng.random(rows) < 0.5, claimant)

    def pick(codes: Any, p: list[float] | None = None) -> np.ndarray:
        return rng.choice(np.array(list(codes), dtype=object), rows, p=None if p is None else np.array(p) / sum(p))

    table = {"": np.arange(rows), **columns}
    for name in ("income", "credit_score_1", "credit_score_2", "credit_score_3"):
        table[name] = table[name] * (1 - 0.3 * drift) // 1
    table |= {
        "bmi": (table["weight_kg"] / (table["height_cm"] / 100) ** 2) // 1,
        "gender": np.where(rng.random(rows) < np.where(claims, 0.55, 0.45), 1, 0),
        "marital_status": pick("ABCDEF", [21, 15, 10, 25, 15, 14]),
        "occupation": pick("ABCDEFG"),
        "location": pick(ascii_uppercase, [1 + 4 * drift] + [1] * 25),
        "prev_claim_rejected": np.where(rng.random(rows) < np.where(claims, 0.17, 0.075), 1, 0),
        "product_var_3": pick("ABCD", [22, 28, 33, 17]),
        "health_status": pick((1, 2, 3, 4)),
        "driving_record": pick((1, 2, 3, 4)),
        "previous_claim_rate": np.where(
            claims, pick((1, 2, 3, 4, 5), [10, 26, 36, 19, 9]), pick((1, 2, 3, 4, 5), [48, 29, 11, 8, 4])
        ),
        "education_level": pick(range(7)),
        "income level": np.minimum(table["income"] // 50_000, 4).astype(int),
        "n_dependents": pick((1, 2, 3, 4, 5), [23, 31, 28, 11, 7]),
        "family_history_3": np.where(rng.random(rows) < 0.8, np.nan, pick((0.0, 1.0)).astype(float)),
        "employment_type": np.where(rng.random(rows) < 0.7, np.nan, pick((0.0, 1.0)).astype(float)),
    }
    often = {"known_health_conditions": 0.06, "uk_residence": 0.76, "product_var_1": 0.37, "product_var_2": 0.54}
    often |= {"product_var_4": 0.75, "family_history_1": 0.22, "family_history_2": 0.25, "family_history_4": 0.27}
    often |= {"family_history_5": 0.31}
    table |= {name: (rng.random(rows) < chance).astype(int) for name, chance in often.items()}
    days = np.datetime_as_string(np.datetime64("2025-01-01") + rng.integers(0, 365, rows), unit="D")
    return {**table, TARGET: claims.astype(int), DATED: days.astype(object)}


use_case = UseCase(
    name="claims",
    version=1,
    title="Will this applicant make a claim?",
    about="An insurer asks, for each day's applications, how likely it is that the applicant will make a claim.",
    source="Generated by sklearn's make_classification and joined with categorical draws: 10,000 applications",
    features=FEATURES,
    target=TARGET,
    task="binary",
    answer="claim_probability",
    key="",  # no column is an id, so a row's content is its key, and copies of a row stay in one split
    dated=DATED,
    schedule=Schedule(train="0 6 2 * *", score="0 1 * * *", timezone="Europe/London"),
    clean=clean,
    sample=sample,
    estimators=(
        Estimator(
            family="xgboost",
            fixed={"objective": "binary:logistic"},
            space={
                "learning_rate": Range(0.05, 0.3, log=True),
                "max_depth": Range(3, 7, integer=True),
                "min_child_weight": Range(0.5, 20, log=True),
                "subsample": Range(0.6, 1.0),
                "colsample_bynode": Range(0.3, 1.0),
                "reg_lambda": Range(0.1, 20, log=True),
                "gamma": Range(1e-4, 1.0, log=True),
            },
        ),
    ),
    rank_by="log_loss",
    promote_by="kappa",
)
