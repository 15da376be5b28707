"""The pulse: every wait is a heartbeat, and a stop ends them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.stream import heartbeat as pulse
from server.stream.heartbeat import MOST_SILENCE, Heartbeat, silence
from tests.unit.server.stream.fakes import Clock


def test_a_pause_beats_the_heart_at_most_once_a_second(tmp_path: Path) -> None:
    clock, heartbeat = Clock(), tmp_path / "predictions.alive"
    one = Heartbeat(heartbeat, clock)
    assert not one.pause(0)
    heartbeat.unlink()
    clock.now += 0.9
    one.pause(0)
    assert not heartbeat.exists()
    clock.now += 0.2
    one.pause(0)
    assert heartbeat.exists()


def test_a_stop_ends_every_pause(tmp_path: Path) -> None:
    one = Heartbeat(tmp_path / "predictions.alive")
    one.stop()
    assert one.pause(60)


def test_silence_is_counted_from_the_last_beat(tmp_path: Path) -> None:
    heartbeat = tmp_path / "predictions.alive"
    assert silence(heartbeat) == float("inf")
    Heartbeat(heartbeat).pause(0)
    beaten = heartbeat.stat().st_mtime
    assert silence(heartbeat, lambda: beaten + 30) == 30


def test_the_health_check_of_a_container_fails_once_there_is_no_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("PREDICTIONS_STREAM_NAME", "wines")
    (tmp_path / "stream").mkdir()
    with pytest.raises(SystemExit, match=r"wines\.alive: no heartbeat"):
        pulse.main()
    Heartbeat(tmp_path / "stream" / "wines.alive").pause(0)
    pulse.main()
    monkeypatch.setattr(pulse, "MOST_SILENCE", -MOST_SILENCE)
    with pytest.raises(SystemExit, match="no heartbeat for 0 s"):
        pulse.main()
