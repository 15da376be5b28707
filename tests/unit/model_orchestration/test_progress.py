from __future__ import annotations

from model_orchestration.progress import log_tenths


def test_a_line_is_logged_for_each_tenth_and_none_twice() -> None:
    lines: list[str] = []
    advance = log_tenths(lines.append)
    for done in range(1, 101):
        advance(done / 100, f"{done} rows")
    assert lines == [f"{tenth * 10} %, {tenth * 10} rows" for tenth in range(1, 11)]


def test_a_step_over_several_tenths_is_one_line() -> None:
    lines: list[str] = []
    advance = log_tenths(lines.append)
    for done in (1, 2, 3):
        advance(done / 3, f"{done} of 3 trials")
    assert lines == ["30 %, 1 of 3 trials", "60 %, 2 of 3 trials", "100 %, 3 of 3 trials"]
