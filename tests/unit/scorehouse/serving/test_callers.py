"""Predictions by client are counted under a bounded number of names."""

from prometheus_client import REGISTRY

from scorehouse.serving.callers import MOST_NAMES, OTHER, CallerCounts


def test_names_beyond_the_first_are_other() -> None:
    counts = CallerCounts("callers", "http")
    for i in range(MOST_NAMES + 10):
        counts.count(f"key-{i}", 2)
        counts.count("key-0", 1)

    def counted(name: str) -> float | None:
        labels = {"use_case": "callers", "door": "http", "caller": name}
        return REGISTRY.get_sample_value("scorehouse_caller_predictions_total", labels)

    assert (counted("key-0"), counted("key-1"), counted(f"key-{MOST_NAMES - 1}")) == (MOST_NAMES + 12, 2, 2)
    assert (counted(f"key-{MOST_NAMES}"), counted(OTHER)) == (None, 20)
