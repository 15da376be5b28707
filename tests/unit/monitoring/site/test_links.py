"""Where the monitor's page leads to."""

import pytest

from monitoring.evidently_service.site.app import _links
from scorehouse.settings import Settings


@pytest.mark.parametrize("by_path", [False, True])
@pytest.mark.parametrize(
    ("profiles", "runs"), [("", False), ("emulator,simulators", False), ("emulator,simulators,grafana,churn", True)]
)
def test_the_dashboard_is_linked_only_where_grafana_runs(profiles: str, runs: bool, by_path: bool) -> None:
    links = _links(Settings(compose_profiles=profiles), "127.0.0.1:8085", None, by_path)
    assert ("Dashboard" in links) is runs
    assert links["Reports"]
