"""The page in docs/your-own-use-case.md works as it stands: written into place, trained, and asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import use_cases
from scorehouse.journal.journal import Journal
from scorehouse.pages.loading import load_use_case
from scorehouse.scoring.schema import Rejected
from scorehouse.serving.serving import Answer, Model, Serving
from tests import toy


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The documented page, importable as use_cases.tips."""
    text = (toy.ROOT / "docs" / "your-own-use-case.md").read_text()
    found = re.search(r"^```python\n(.+?)^```", text, re.S | re.M)
    assert found
    (tmp_path / "tips.py").write_text(found[1])
    monkeypatch.setattr(use_cases, "__path__", [*use_cases.__path__, str(tmp_path)])
    yield "tips"
    monkeypatch.undo()


def test_the_documented_page_trains_well_and_answers_records(page: str, tmp_path: Path) -> None:
    model = toy.train(tmp_path / "bundle", use_case=page, rows=2_000, trials=4)
    truth = model.trained.test_truth
    guessing_the_median = abs(truth - np.median(truth)).mean()
    assert model.trained.quality["test_mae"] < guessing_the_median / 3

    serving = Serving(page, "http", Journal(tmp_path / "journal", "http"))
    bundle = model.bundle()
    serving.model = Model(bundle, bundle.scorer(load_use_case(page)))
    small, large, bad = serving.answer(
        [
            {"bill": 12.0, "guests": 1, "day": "thu"},
            {"bill": 60.0, "guests": 5, "day": "sat", "smokers": None},
            {"bill": 12.0, "guests": 0, "day": "thu"},
        ]
    )
    assert isinstance(small, Answer)
    assert isinstance(large, Answer)
    assert 1 < small.prediction < 3 < 6 < large.prediction < 14
    assert isinstance(bad, Rejected)
    assert [e.field for e in bad.errors] == ["guests"]
