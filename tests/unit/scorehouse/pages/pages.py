"""Writes pages as people write them, with one mistake each, and loads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorehouse.errors import UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.usecase import UseCase

PAGE = """
from scorehouse.usecase import Choice, Envelope, Estimator, Feature, Range, Schedule, UseCase

DAYS = ("thu", "fri", "sat", "sun")
FEATURES = (
    Feature(name="bill", kind="number", required=True, low=0, high=9999, help="The bill", example=24.5),
    Feature(name="guests", kind="integer", required=True, low=1, high=100, help="People at the table", example=2),
    Feature(name="day", kind="category", required=True, categories=DAYS, help="Day of the week", example="sat"),
    Feature(name="smokers", kind="boolean", help="Whether they smoke", example=False),
)
DERIVED = (Feature(name="bill_per_guest", kind="number", help="The bill divided by the guests"),)


def derive(record):
    bill, guests = record.get("bill"), record.get("guests")
    return {**record, "bill_per_guest": None if bill is None or guests is None else bill / guests}


use_case = UseCase(
    name="NAME",
    version=1,
    title="How much will this table leave?",
    about="A restaurant predicts the tip on a bill.",
    source="Generated",
    features=FEATURES,
    derive=derive,
    derived=DERIVED,
    inputs=("bill", "guests", "day", "smokers", "bill_per_guest"),
    target="tip",
    task="amount",
    answer="tip",
    key="number",
    clean=lambda table: table,
    estimators=(
        Estimator(
            family="xgboost",
            fixed={"objective": "reg:squarederror"},
            space={"learning_rate": Range(0.05, 0.3, log=True), "max_depth": Range(2, 5, integer=True)},
        ),
    ),
    rank_by="mae",
    trials=20,
)
"""
_count = iter(range(1_000_000))


class Pages:
    """Pages in a folder of their own; every page has a new name, because Python remembers what it has imported."""

    def __init__(self, folder: Path):
        self.folder = folder

    def write(self, *changes: tuple[str, str], text: str = PAGE) -> str:
        """Write the page with `changes`, (old, new); return its name."""
        name = f"page_{next(_count)}"
        for old, new in changes:
            assert old in text, f"the page has no {old!r}"
            text = text.replace(old, new)
        (self.folder / f"{name}.py").write_text(text.replace('"NAME"', repr(name)))
        return name

    def load(self, *changes: tuple[str, str], text: str = PAGE) -> UseCase:
        return load_use_case(self.write(*changes, text=text))

    def refusal(self, *changes: tuple[str, str], text: str = PAGE) -> str:
        """Return what is said about the page with `changes`, without its name."""
        name = self.write(*changes, text=text)
        with pytest.raises(UseCaseError) as refused:
            load_use_case(name)
        return str(refused.value).replace(name, "page")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pages:
    import use_cases

    folder = tmp_path / "use_cases"
    folder.mkdir()
    monkeypatch.setattr(use_cases, "__path__", [*use_cases.__path__, str(folder)])
    return Pages(folder)
