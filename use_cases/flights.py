"""Flights: what will a ticket cost?

This page shows derived features (derive) and a search over several families of models.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from scorehouse.usecase import Estimator, Feature, Range, Record, UseCase, Value

if TYPE_CHECKING:
    import pandas as pd

AIRLINES = (
    "Air Asia", "Air India", "GoAir", "IndiGo", "Jet Airways", "Jet Airways Business", "Multiple carriers",
    "Multiple carriers Premium economy", "SpiceJet", "Trujet", "Vistara", "Vistara Premium economy",
)  # fmt: skip
ROUTES = (
    ("Banglore", "Delhi"), ("Banglore", "New Delhi"), ("Chennai", "Kolkata"), ("Delhi", "Cochin"),
    ("Kolkata", "Banglore"), ("Mumbai", "Hyderabad"),
)  # fmt: skip
TRIPS = tuple("_".join(route) for route in ROUTES)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _name(name: str, known: tuple[str, ...], help: str, example: str) -> Feature:
    """Return a feature for a name. A name that training did not see counts as missing; it is not refused."""
    may_be_new: Any = {"kind": "category", "required": True, "unseen": "missing"}
    return Feature(name=name, categories=known, help=help, example=example, **may_be_new)


def _whole(name: str, low: int, high: int, help: str, example: int, unit: str = "") -> Feature:
    return Feature(name=name, kind="integer", required=True, low=low, high=high, unit=unit, help=help, example=example)


def _clock(name: str, help: str) -> Feature:
    return Feature(name=name, kind="category", categories=tuple(range(24)), unit="hour", help=help)


FEATURES = (
    _name("airline", AIRLINES, "Who flies", "IndiGo"),
    _name("source", tuple(sorted({a for a, _ in ROUTES})), "City of departure", "Banglore"),
    _name("destination", tuple(sorted({b for _, b in ROUTES})), "City of arrival", "New Delhi"),
    _whole("total_stops", 0, 10, "Stops on the way", 0),
    _whole("date", 1, 31, "Day of the month of the departure", 24),
    _whole("month", 1, 12, "Month of the departure", 3),
    _whole("year", 2000, 2100, "Year of the departure", 2019),
    _whole("dep_hours", 0, 23, "Departure, hour", 22, "h"),
    _whole("dep_min", 0, 59, "Departure, minute", 20, "min"),
    _whole("arrival_hours", 0, 23, "Arrival, hour", 1, "h"),
    _whole("arrival_min", 0, 59, "Arrival, minute", 10, "min"),
    _whole("duration_hours", 0, 99, "Travel time, full hours", 2, "h"),
    _whole("duration_min", 0, 59, "Travel time, remaining minutes", 50, "min"),
)
DERIVED = (
    Feature(
        name="weekday", kind="category", categories=tuple(range(7)), labels=dict(enumerate(WEEKDAYS)),
        help="Day of the week of the departure",
    ),
    Feature(name="trip", kind="category", categories=TRIPS, unseen="missing", help="Source and destination"),
    _clock("departure_hour", "Departure, to the nearest hour"),
    _clock("arrival_hour", "Arrival, to the nearest hour"),
    Feature(name="total_duration_minutes", kind="number", unit="min", help="Travel time"),
)  # fmt: skip
INPUTS = (
    "airline", "source", "destination", "trip", "total_stops", "date", "month", "weekday", "dep_hours", "dep_min",
    "departure_hour", "arrival_hours", "arrival_min", "arrival_hour", "total_duration_minutes",
)  # fmt: skip


def derive(record: Record) -> Record:
    """Add the weekday, the trip, both rounded hours and the whole duration; None if a part is missing."""
    get: Any = record.get
    source = get("source")
    destination = get("destination")
    hours = get("duration_hours")
    return {
        **record,
        "weekday": _weekday(get("year"), get("month"), get("date")),
        "trip": None if source is None or destination is None else f"{source}_{destination}",
        "departure_hour": _nearest_hour(get("dep_hours"), get("dep_min")),
        "arrival_hour": _nearest_hour(get("arrival_hours"), get("arrival_min")),
        "total_duration_minutes": None if hours is None else hours * 60 + (get("duration_min") or 0),
    }


def _weekday(year: float | None, month: float | None, day: float | None) -> Value:
    """Return the day of the week, Monday is 0, or None for a day that does not exist, such as 31 June."""
    if year is None or month is None or day is None:
        return None
    try:
        return date(int(year), int(month), int(day)).weekday()
    except ValueError:
        return None


def _nearest_hour(hours: float | None, minutes: float | None) -> Value:
    return None if hours is None else int(hours + (minutes or 0) / 60 + 0.5) % 24


def clean(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the publisher's table into records with `price`. No row is dropped. Copies of a row stay in one split."""
    table = table.rename(columns=str.lower)
    return table[[*(f.name for f in FEATURES), "price"]]


# The sample: minutes in the air and fare by route, price level and market share by airline, then dates and hours.
_AIR = np.array([170, 170, 140, 190, 155, 90])
_FARE = np.array([4700, 5200, 3900, 5600, 4500, 3300])
_LEVEL = np.array([0.80, 1.10, 0.85, 0.80, 1.30, 5.00, 1.20, 1.25, 0.70, 0.75, 1.05, 1.30])
_SHARE = np.array([281, 1561, 169, 1847, 3415, 6, 1091, 11, 734, 1, 435, 3], dtype=float)
_DAYS = np.array([1, 3, 6, 9, 12, 15, 18, 21, 24, 27])
_HOURS = np.array([1, 1, 4, 1, 4, 14, 15, 20, 16, 20, 12, 13, 4, 9, 11, 7, 11, 16, 10, 13, 14, 11, 9, 4])
_MONTH = {3: 1.15, 4: 0.80, 5: 1.05, 6: 1.0}


def fare(c: Mapping[str, Any], drift: float = 0.0) -> np.ndarray:
    """Return the true median price of each sampled flight in rupees, (n,).

    Drift raises all prices, and most of all those of flights with stops.
    """
    route = np.array([TRIPS.index(f"{a}_{b}") for a, b in zip(c["Source"], c["Destination"], strict=True)])
    airline = np.array([AIRLINES.index(a) for a in c["Airline"]])
    weekend = np.array([date(2019, m, d).weekday() >= 5 for m, d in zip(c["Month"], c["Date"], strict=True)])
    stops = c["Total_Stops"]
    minutes = c["Duration_hours"] * 60 + c["Duration_min"]
    dearer = 1 + 0.25 * drift + 0.15 * drift * (stops > 0)
    level = _LEVEL[airline] * [_MONTH[m] for m in c["Month"]] * (1 + 0.08 * weekend) * dearer
    early = 1 - 0.08 * (c["Dep_hours"] < 6)
    waiting = np.minimum(minutes - _AIR[route] - 45 * stops, 1200) / 1200
    stopping = 0.85 * (stops > 0) + 0.2 * np.maximum(stops - 1, 0) - 0.15 * waiting * (stops > 0)
    return np.asarray(level * early * _FARE[route] * (1 + stopping))


def sample(rows: int, seed: int, drift: float = 0.0) -> dict[str, np.ndarray]:
    """Generate a raw table like the publisher's.

    Drift, 0 to 1, moves travellers to June, to flights with stops and to IndiGo.
    """
    rng = np.random.default_rng(seed)
    route = rng.choice(6, rows, p=np.array([1131, 832, 349, 4054, 2569, 619]) / 9554)
    share = _SHARE.copy()
    share[[3, 4]] += np.array([1, -1]) * 0.8 * drift * share[4]  # Jet Airways was grounded in April 2019
    airline = rng.choice(12, rows, p=share / share.sum())
    direct = np.array([0.9, 0.35, 0.97, 0.05, 0.3, 0.9])[route] * (1 - 0.5 * drift)
    stops = np.where(rng.random(rows) < direct, 0, 1 + (rng.random(rows) < 0.25) + (rng.random(rows) < 0.02))
    waiting = np.where(stops > 0, stops * (45 + rng.gamma(1.6, 220, rows)), 0)
    minutes = (np.clip(_AIR[route] + rng.normal(0, 6, rows) + waiting, 75, 2800) // 5 * 5).astype(int)
    departure = rng.choice(24, rows, p=_HOURS / _HOURS.sum()) * 60 + 5 * rng.integers(0, 12, rows)
    arrival = (departure + minutes) % 1440
    months = np.array([2434, 962, 3117, 3041], dtype=float) * (1 + drift * np.array([-0.8, -0.5, 0, 1]))
    table: dict[str, np.ndarray] = {
        "Airline": np.array(AIRLINES, dtype=object)[airline],
        "Source": np.array([a for a, _ in ROUTES], dtype=object)[route],
        "Destination": np.array([b for _, b in ROUTES], dtype=object)[route],
        "Total_Stops": stops,
        "Date": rng.choice(_DAYS, rows), "Month": rng.choice(np.arange(3, 7), rows, p=months / months.sum()),
        "Year": np.full(rows, 2019), "Dep_hours": departure // 60, "Dep_min": departure % 60,
        "Arrival_hours": arrival // 60, "Arrival_min": arrival % 60,
        "Duration_hours": minutes // 60, "Duration_min": minutes % 60,
    }  # fmt: skip
    return {**table, "Price": (fare(table, drift) * np.exp(rng.normal(0, 0.15, rows))).round()}


use_case = UseCase(
    name="flights",
    version=1,
    title="What will this ticket cost?",
    about="A travel agency asks, for a flight within India on a given day, what its ticket will cost, in rupees.",
    source="Kaggle: viveksharmar/flight-price-data, 10,683 fares of March to June 2019, 222 of them copies of another",
    download="https://www.kaggle.com/api/v1/datasets/download/viveksharmar/flight-price-data",
    features=FEATURES,
    derived=DERIVED,
    derive=derive,
    inputs=INPUTS,
    target="price",
    task="amount",
    answer="price",
    answer_unit="rupees",
    key="",  # a fare has no id, so a row's content is its key
    clean=clean,
    sample=sample,
    trials=30,
    retrain_best=3,
    estimators=(
        Estimator(
            family="xgboost",
            fixed={"objective": "reg:squarederror"},
            space={
                "learning_rate": Range(0.03, 0.15, log=True),
                "max_depth": Range(5, 8, integer=True),
                "min_child_weight": Range(0.5, 5, log=True),
                "subsample": Range(0.6, 0.95),
                "colsample_bynode": Range(0.3, 0.8),
                "reg_lambda": Range(0.3, 10, log=True),
            },
        ),
        Estimator(
            family="random_forest",
            fixed={"n_estimators": 100, "max_depth": 18},
            space={"max_features": Range(0.3, 0.8), "min_samples_leaf": Range(2, 5, integer=True)},
        ),
        Estimator(family="ridge", space={"alpha": Range(0.01, 1000, log=True)}),
        Estimator(family="lasso", space={"alpha": Range(0.1, 100, log=True)}),
    ),
    rank_by="rmse",
)
