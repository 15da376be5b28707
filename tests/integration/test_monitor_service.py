"""The monitor as a process, with a real scorer, shipper and store: what it shows about real traffic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from scorehouse.pages.loading import load_use_case
from tests import toy as toys
from tests.toy import HOST, Scorer, Service, Toy

CHURN = load_use_case("churn")


@dataclass
class House:
    """Scorer, shipper and monitor on one data folder."""

    folder: Path
    scorer: Scorer
    shipper: Service
    monitor: Service
    port: int

    def post(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Score records, 100 a request; return the answers."""
        answers: list[dict[str, Any]] = []
        for start in range(0, len(records), 100):
            reply = requests.post(f"{self.scorer.url}/predict", json=records[start : start + 100], timeout=30)
            answers += reply.json() if reply.ok else []
        return answers

    def text(self, path: str) -> str:
        """What the monitor answers."""
        return requests.get(f"http://{HOST}:{self.port}/{path}", timeout=30).text

    def metric(self, name: str, **labels: str) -> float | None:
        """One sample of /metrics; None where there is none."""
        for family in text_string_to_metric_families(self.text("metrics")):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return None

    def wait(self, name: str, value: float, seconds: float = 30, **labels: str) -> None:
        """Return once a sample has a value."""
        toys.until(lambda: self.metric(name, **labels) == value, seconds, f"{name} {labels} is {value}")


@pytest.fixture
def house(toy: Toy, tmp_path: Path) -> Iterator[House]:
    """Everything, running."""
    run_id, port = toys.cache_in(tmp_path, toy), toys.free_port()
    scorer, shipper = toys.scorer(tmp_path, run_id), toys.shipper(tmp_path)
    given = {**scorer.environ, "MONITOR_PORT": str(port), "DRIFT_WINDOW_HOURS": "0"}
    monitor = Service("monitoring.evidently_service", given, tmp_path / "monitor.log")
    one = House(tmp_path, scorer, shipper, monitor, port)
    with toys.running(scorer, shipper, monitor):
        toys.until(lambda: _ready(one), 60, f"the monitor is ready; it said:\n{monitor.said()}")
        yield one


def _ready(house: House) -> bool:
    try:
        return requests.get(f"http://{HOST}:{house.port}/readyz", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_the_monitor_shows_traffic_drift_outcomes_and_rejections_and_continues_after_a_restart(house: House) -> None:
    assert "No predictions yet" in house.text("")
    shown = requests.get(f"http://{HOST}:{house.port}/", timeout=5)
    assert "default-src 'none'; style-src 'self' 'unsafe-inline'" in shown.headers["Content-Security-Policy"]
    answers = house.post(toys.records(CHURN, 600, seed=21))
    house.wait("scorehouse_window_records", 500)
    house.wait("evidently:data_drift:dataset_drift", 0)
    assert house.metric("evidently:data_drift:p_value", feature="credit_limit", feature_type="num") is not None
    assert house.metric("evidently:data_drift:drift_score", feature="prediction", method="ks") is not None
    assert "Nothing drifts" in house.text("")

    house.post(toys.records(CHURN, 500, seed=22, drift=1.0))
    house.wait("evidently:data_drift:dataset_drift", 1)
    assert (house.metric("evidently:data_drift:n_drifted_features") or 0) >= 3
    assert house.metric("scorehouse_feature_drifted", feature="credit_limit") == 1
    page = house.text("")
    assert "columns drift" in page and "<svg" in page and "Since " in page

    outcomes = [{"prediction_id": a["prediction_id"], "outcome": i % 2} for i, a in enumerate(answers[:60])]
    outcomes.append({"prediction_id": "never-seen", "outcome": 1})
    assert requests.post(f"{house.scorer.url}/outcomes", json=outcomes, timeout=10).status_code == 202
    house.wait("scorehouse_quality_records", 60, source="outcomes")
    house.wait("scorehouse_waiting_outcomes", 1)
    assert house.metric("scorehouse_quality", figure="mean_true", source="outcomes") == 0.5
    corrected = [{"prediction_id": a["prediction_id"], "outcome": 1} for a in answers[:60]]
    requests.post(f"{house.scorer.url}/outcomes", json=corrected, timeout=10).raise_for_status()
    house.wait("scorehouse_quality", 1.0, figure="mean_true", source="outcomes")
    assert house.metric("scorehouse_quality_records", source="outcomes") == 60

    house.post([{**toys.records(CHURN, 1)[0], "credit_limit": "much"}] * 50)
    toys.until(lambda: (house.metric("scorehouse_rejected_share") or 0) > 0.04, 20, "rejected records are counted")
    assert "credit_limit is not allowed" in house.text("")

    before = house.metric("scorehouse_drift_since_seconds", feature="credit_limit")
    assert house.monitor.stop() == 0
    house.monitor.start()
    toys.until(lambda: _ready(house), 60, f"the monitor is ready again; it said:\n{house.monitor.said()}")
    assert house.metric("scorehouse_window_records") == 500
    assert house.metric("scorehouse_drift_since_seconds", feature="credit_limit") == before
    assert house.metric("scorehouse_quality_records", source="outcomes") == 60


def test_traffic_without_optional_fields_is_not_drift(
    house: House,
) -> None:
    required = {f.name for f in CHURN.features if f.required}
    house.post([{k: v for k, v in r.items() if k in required} for r in toys.records(CHURN, 600, seed=23)])
    house.wait("scorehouse_window_records", 500)
    house.wait("evidently:data_drift:dataset_drift", 0)
    assert house.metric("evidently:data_drift:p_value", feature="prediction") is not None
    assert house.metric("evidently:data_drift:p_value", feature="total_trans_ct") is None
    assert house.metric("scorehouse_unsent_share", feature="total_trans_ct") == 1
    assert "Not compared, because no record contains them" in house.text("")
