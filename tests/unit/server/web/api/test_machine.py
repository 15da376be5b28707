"""The machine's shares, read from the kernel's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from scorehouse.metrics import MACHINE_USED
from server.web.api.machine import Machine

MEMORY = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "stat").write_text("cpu  10 0 10 70 10 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1\n")
    (tmp_path / "meminfo").write_text(MEMORY)
    return Machine("flights", tmp_path, tmp_path, tmp_path)


def test_the_processors_share_is_of_the_time_since_the_look_before(machine: Machine, tmp_path: Path) -> None:
    assert "cpu" not in machine.measure()
    (tmp_path / "stat").write_text("cpu  80 0 10 90 20 0 0 0 0 0\n")
    assert machine.measure()["cpu"] == pytest.approx(0.7)
    assert MACHINE_USED.labels("flights", "cpu")._value.get() == pytest.approx(0.7)


def test_memory_is_what_the_kernel_cannot_give_back(machine: Machine) -> None:
    assert machine.measure()["memory"] == pytest.approx(0.75)


def test_in_a_container_with_a_limit_it_is_the_share_of_that(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 300\n")
    assert machine.measure()["memory"] == pytest.approx(0.4)
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.measure()["memory"] == pytest.approx(0.75)


def test_the_disk_is_that_of_the_data(machine: Machine) -> None:
    assert 0 < machine.measure()["disk"] < 1


def test_a_system_that_tells_nothing_is_not_guessed_at(tmp_path: Path) -> None:
    assert Machine("flights", tmp_path / "gone", tmp_path, tmp_path).measure() == {}
