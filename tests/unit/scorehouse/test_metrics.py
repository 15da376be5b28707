"""Values that are observed at once are counted as if they came one by one."""

from __future__ import annotations

import random

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from scorehouse.metrics import BatchHistogram

BOUNDS = (0.001, 0.01, 0.1, 1.0)


@pytest.mark.parametrize(
    "amounts", [[], [0.01], [5.0, 0.0, 0.001, 0.0010001, 1.0], random.Random(7).sample(range(99), 50)]
)
def test_a_lot_is_counted_as_its_values_one_by_one(amounts: list[float]) -> None:
    told = []
    for kind in (BatchHistogram, Histogram):
        registry = CollectorRegistry()
        seconds = kind("seconds", "How long it took", ["route"], buckets=BOUNDS, registry=registry).labels("/predict")
        seconds.observe(0.02)
        if isinstance(seconds, BatchHistogram):
            seconds.observe_all(amounts)
        else:
            for amount in sorted(amounts):
                seconds.observe(amount)
        text = generate_latest(registry).decode()
        told.append([line for line in text.splitlines() if "_created" not in line and "_sum" not in line])
        total = registry.get_sample_value("seconds_sum", {"route": "/predict"})
        assert total == pytest.approx(0.02 + sum(amounts))
    assert told[0] == told[1]
    assert len(told[0]) > len(BOUNDS)
