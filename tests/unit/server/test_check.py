"""`make check`: its prediction is one that no figure counts."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from server import check


class Answer:
    """An answer of a scorer."""

    def __init__(self, content: dict[str, Any]):
        """Keep what the scorer says."""
        self.json = lambda: content

    def raise_for_status(self) -> None:
        """It is a 200."""


def test_what_it_sends_is_a_test(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[Any] = []

    def post(_: str, json: Any, **__: Any) -> Answer:
        sent.append(json)
        return Answer({"churn_probability": 0.25, "model_run_id": "a" * 32, "prediction_id": "p"})

    monkeypatch.setattr(requests, "get", lambda *_, **__: Answer({"customer_age": 40}))
    monkeypatch.setattr(requests, "post", post)
    check.main()
    assert sent == [{"customer_age": 40, "test": True}]
    assert capsys.readouterr().out == f"run {'a' * 32} predicts churn probability 0.25\n"
