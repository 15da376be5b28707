"""Churn: will this credit-card customer leave? This is the default use case.

A page declares the fields of a record (FEATURES), turns the publisher's table into records (clean), generates rows like
it (sample), and says how models are trained and judged (use_case, at the end).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from scorehouse.usecase import Estimator, Feature, Range, UseCase

if TYPE_CHECKING:
    import pandas as pd

EDUCATION = ("Uneducated", "High School", "Graduate", "College", "Post-Graduate", "Doctorate")  # sent as 0 to 5
INCOME = ("Less than $40K", "$40K - $60K", "$60K - $80K", "$80K - $120K", "$120K +")  # sent as 0 to 4


# Small helpers, so that each feature below fits on one line.
def _levels(name: str, levels: tuple[str, ...], help: str, example: int) -> Feature:
    labels = dict(enumerate(levels))
    return Feature(
        name=name, kind="integer", required=True, low=0, high=len(levels) - 1, labels=labels, help=help, example=example
    )


def _whole(
    name: str, high: float, help: str, example: int, unit: str = "", low: float = 0, required: bool = True
) -> Feature:
    return Feature(
        name=name, kind="integer", required=required, low=low, high=high, unit=unit, help=help, example=example
    )


def _number(name: str, high: float, help: str, example: float, unit: str = "", required: bool = False) -> Feature:
    return Feature(name=name, kind="number", required=required, low=0, high=high, unit=unit, help=help, example=example)


def _category(name: str, labels: Mapping[str | int, str], help: str, example: str) -> Feature:
    return Feature(
        name=name, kind="category", required=True, categories=tuple(labels), labels=labels, help=help, example=example
    )


FEATURES = (
    _whole("customer_age", 120, "Age of the customer", 50, "years", low=18),
    _category("gender", {"M": "male", "F": "female"}, "Gender as on the account", "M"),
    _whole("dependent_count", 30, "People who depend on the customer", 2),
    _levels("education_level", EDUCATION, "Highest education", 3),
    _category("marital_status", {c: c for c in ("married", "single", "divorced")}, "Marital status", "married"),
    _levels("income_category", INCOME, "Yearly income", 2),
    _category("card_category", {c: c for c in ("blue", "silver", "gold", "platinum")}, "Kind of card", "blue"),
    _whole("months_on_book", 1200, "How long the customer has been with the bank", 36, "months"),
    _whole("total_relationship_count", 100, "Products that the customer holds", 3),
    _number("credit_limit", 10_000_000, "Limit of the card", 4000, "dollars", required=True),
    _number(
        "total_revolving_bal", 10_000_000, "Balance carried over from month to month", 1200, "dollars", required=True
    ),
    _whole("months_inactive_12_mon", 12, "Months without activity in the last year", 2, "months", required=False),
    _whole("contacts_count_12_mon", 1000, "Contacts with the bank in the last year", 2, required=False),
    _number("avg_open_to_buy", 10_000_000, "Limit not used, mean of the last year", 2800, "dollars"),
    _number("total_amt_chng_q4_q1", 1000, "Amount spent, fourth quarter over first", 0.75),
    _number("total_trans_amt", 100_000_000, "Amount spent in the last year", 4400, "dollars"),
    _whole("total_trans_ct", 100_000, "Transactions in the last year", 65, required=False),
    _number("total_ct_chng_q4_q1", 1000, "Transactions, fourth quarter over first", 0.7),
    _number("avg_utilization_ratio", 10, "Share of the limit used, mean of the last year", 0.3),
)


def clean(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the BankChurners table into records with `left` (0 or 1) and `customer_id`. No row is dropped.

    "Unknown" becomes a missing value.
    """
    table = table.rename(columns=str.lower).rename(columns={"clientnum": "customer_id"})
    table = table.replace("Unknown", None)
    table["left"] = table["attrition_flag"].map({"Existing Customer": 0, "Attrited Customer": 1})
    table["education_level"] = table["education_level"].map({name: i for i, name in enumerate(EDUCATION)})
    table["income_category"] = table["income_category"].map({name: i for i, name in enumerate(INCOME)})
    for column in ("marital_status", "card_category"):
        table[column] = table[column].str.lower()
    return table[
        ["customer_id", *(f.name for f in FEATURES), "left"]
    ]  # not the Naive_Bayes columns: they contain the answer


def chance(c: Mapping[str, Any], drift: float = 0.0) -> np.ndarray:
    """Return the true chance of leaving for each sampled customer, (n,).

    Drift weakens the effect of activity and reverses the effect of the balance.
    """
    activity = (c["Total_Trans_Ct"] - 60) / 12 + 3 * (c["Total_Ct_Chng_Q4_Q1"] - 0.7)
    balance = np.minimum(c["Total_Revolving_Bal"], 1000) / 1000 - 0.6
    ties = (
        0.9 * (c["Total_Relationship_Count"] - 3.5)
        - 1.0 * (c["Months_Inactive_12_mon"] - 2)
        - 0.8 * (c["Contacts_Count_12_mon"] - 2)
    )
    spending = 1.2 * (c["Total_Trans_Amt"] / c["Total_Trans_Ct"] - 62) / 20
    logit = -4.2 - (1 - 0.7 * drift) * 2.0 * activity - (1 - 2 * drift) * 3.5 * balance - ties + spending
    return np.asarray(1 / (1 + np.exp(-logit)))


def sample(rows: int, seed: int, drift: float = 0.0) -> dict[str, np.ndarray]:
    """Generate a raw table like the publisher's.

    Drift, 0 to 1, changes the customers, their cards, and the reasons why they leave.
    """
    rng = np.random.default_rng(seed)

    def pick(values: list[str], p: list[float]) -> np.ndarray:
        return rng.choice(np.array(values, dtype=object), rows, p=np.array(p) / sum(p))

    income = rng.choice(5, rows, p=[0.395, 0.20, 0.155, 0.17, 0.08])
    age = np.clip(rng.normal(46.3, 8, rows), 26, 73).round()
    limit = np.clip(
        np.array([3200, 4300, 8000, 12500, 16500])[income] * np.exp(rng.normal(-0.15, 0.65, rows)), 1438, 34516
    )
    limit *= 1 - 0.3 * drift
    revolving = np.where(rng.random(rows) < 0.25, 0, np.clip(rng.normal(1500, 500, rows), 100, np.minimum(2517, limit)))
    count = np.clip(
        np.where(rng.random(rows) < 0.35, rng.normal(40, 9, rows), rng.normal(78, 14, rows)), 10, 139
    ).round()
    table = {
        "CLIENTNUM": 700_000_000 + rng.choice(100_000_000, rows, replace=False),
        "Customer_Age": age,
        "Gender": np.where(rng.random(rows) < np.array([0.08, 0.43, 1, 1, 1])[income], "M", "F"),
        "Dependent_count": rng.choice(6, rows, p=[0.09, 0.18, 0.26, 0.27, 0.155, 0.045]),
        "Education_Level": pick([*EDUCATION, "Unknown"], [147, 199, 308, 100, 51, 45, 150]),
        "Marital_Status": pick(["Married", "Single", "Divorced", "Unknown"], [461, 390, 74, 75]),
        "Income_Category": np.where(rng.random(rows) < 0.11, "Unknown", np.array(INCOME, dtype=object)[income]),
        "Card_Category": pick(["Blue", "Silver", "Gold", "Platinum"], [933 - 93 * drift, 54 + 93 * drift, 11, 2]),
        "Months_on_book": np.clip(36 + 0.78 * (age - 46.3) + rng.normal(0, 5, rows), 13, 56).round() + round(4 * drift),
        "Total_Relationship_Count": rng.choice(np.arange(1, 7), rows, p=[0.09, 0.123, 0.228, 0.187, 0.188, 0.184]),
        "Months_Inactive_12_mon": rng.choice(7, rows, p=[0.003, 0.218, 0.326, 0.38, 0.044, 0.017, 0.012]),
        "Contacts_Count_12_mon": rng.choice(7, rows, p=[0.039, 0.148, 0.315, 0.335, 0.139, 0.018, 0.006]),
        "Credit_Limit": limit.round(1),
        "Total_Revolving_Bal": revolving.round(),
        "Avg_Open_To_Buy": (limit - revolving).clip(3).round(1),
        "Total_Amt_Chng_Q4_Q1": np.clip(rng.normal(0.76, 0.2, rows), 0, 3.4).round(3),
        "Total_Trans_Amt": (count * np.clip(rng.normal(62, 12, rows), 20, 150)).round(),
        "Total_Trans_Ct": count,
        "Total_Ct_Chng_Q4_Q1": np.clip(rng.normal(0.71, 0.22, rows), 0, 3.7).round(3),
        "Avg_Utilization_Ratio": (revolving / limit).round(3),
    }
    leaves = rng.random(rows) < chance(table, drift)
    return {**table, "Attrition_Flag": np.where(leaves, "Attrited Customer", "Existing Customer")}


use_case = UseCase(
    name="churn",
    version=1,
    title="Will this customer leave?",
    about="A bank asks, for each credit-card customer, how likely it is that the customer closes the account.",
    source="Kaggle: sakshigoyal7/credit-card-customers (CC0), 10,127 customers, 16 % of whom left",
    download="https://www.kaggle.com/api/v1/datasets/download/sakshigoyal7/credit-card-customers",
    features=FEATURES,
    target="left",
    task="binary",
    answer="churn chance",
    key="customer_id",
    clean=clean,
    missing=("Unknown",),
    sample=sample,
    mask_optional=0.3,
    estimators=(
        Estimator(
            family="xgboost",
            fixed={"objective": "binary:logistic"},
            space={
                "learning_rate": Range(0.15, 0.4, log=True),
                "max_depth": Range(3, 6, integer=True),
                "min_child_weight": Range(0.5, 20, log=True),
                "subsample": Range(0.6, 1.0),
                "colsample_bynode": Range(0.5, 1.0),
                "reg_lambda": Range(0.1, 20, log=True),
                "gamma": Range(1e-4, 1.0, log=True),
            },
        ),
    ),
    rank_by="log_loss",
)
