"""Outcomes arrive late, are corrected, and may belong to predictions that left the drift window long ago."""

import json
from typing import Any

from monitoring.evidently_service.quality.outcomes import KnownOutcomes


def known(number: int, outcome: float, prediction: float = 0.5) -> dict[str, Any]:
    return {"seq": number, "outcome": outcome, "prediction": prediction}


def test_a_correction_replaces_and_the_order_of_arrival_does_not_matter() -> None:
    early, late = KnownOutcomes(), KnownOutcomes()
    early.take([known(1, 0, 0.2), known(2, 1, 0.9), known(3, 0, 0.4)])
    late.take([known(3, 1, 0.4)])
    late.take([known(2, 1, 0.9), known(1, 0, 0.2)])
    late.take([known(3, 0, 0.4)])
    assert early.quality("binary") == late.quality("binary")
    assert early.quality("binary")["auc"] == 1.0
    assert len(late) == 3


def test_a_full_window_drops_the_oldest_predictions() -> None:
    outcomes = KnownOutcomes(most=2)
    outcomes.take([known(5, 1, 10), known(9, 1, 3)])
    outcomes.take([known(7, 1, 2), known(1, 1, 99)])
    assert len(outcomes) == 2
    assert outcomes.quality("amount")["mae"] == 1.5


def test_without_outcomes_there_are_no_figures() -> None:
    assert KnownOutcomes().quality("binary") == {}


def test_a_restart_keeps_them() -> None:
    outcomes = KnownOutcomes()
    outcomes.take([known(2, 1, 0.9), known(4, 0, 0.3)])
    again = KnownOutcomes.from_json(json.loads(json.dumps(outcomes.to_json())))
    assert again.quality("binary") == outcomes.quality("binary")
