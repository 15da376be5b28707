"""Which model scores a batch, and that the run which RUN_ID names is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_orchestration.batch.scoring import resolve_model
from scorehouse.errors import RegistryUnavailable
from scorehouse.pages.loading import load_use_case
from scorehouse.registry.client import Registry, Version
from scorehouse.settings import Settings

RUN, SERVED = "a" * 32, "b" * 32


@pytest.fixture
def tagged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """A registry that serves one run and knows another; what was tagged, (run, tag)."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(Registry, "served", lambda *_: Version("2", SERVED, None))
    monkeypatch.setattr(Registry, "version_of_run", lambda _, __, run: Version("1", run, None))
    monkeypatch.setattr(Registry, "version_by_alias", lambda *_: Version("2", SERVED, None))
    monkeypatch.setattr(Registry, "tag_run", lambda _, run, key, __: found.append((run, key)))
    return found


@pytest.mark.parametrize(
    ("run_id", "scores", "kept"), [(RUN, RUN, [(RUN, "keep")]), ("", SERVED, []), ("production", SERVED, [])]
)
def test_the_run_that_a_batch_names_is_kept_and_what_serves_needs_no_tag(
    tagged: list[tuple[str, str]], tmp_path: Path, run_id: str, scores: str, kept: list[tuple[str, str]]
) -> None:
    settings = Settings(run_id=run_id, data_folder=tmp_path)
    assert resolve_model(settings, load_use_case("churn")).version.run_id == scores
    assert tagged == kept


def test_a_registry_that_is_away_stops_no_batch(
    tagged: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise RegistryUnavailable("MLflow is down")

    monkeypatch.setattr(Registry, "tag_run", away)
    settings = Settings(run_id=RUN, data_folder=tmp_path)
    assert resolve_model(settings, load_use_case("churn")).version.run_id == RUN
    assert tagged == []
