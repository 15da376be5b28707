"""Checkpoints: how far each shard is done, remembered for one process at a time."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.stream.checkpoints import LAYOUT, Checkpoints, CheckpointsBroken, CheckpointsHeld, Position, StreamId

STREAM = StreamId("predictions", "1.000")


def test_positions_outlive_the_process(tmp_path: Path) -> None:
    one = Checkpoints(tmp_path / "stream" / "predictions.db")
    one.save(STREAM, "s0", Position("41", False))
    one.save(STREAM, "s0", Position("42", False))
    one.save(STREAM, "s1", Position("7", False))
    one.save(STREAM, "s1", Position("7", True))
    one.close()
    other = Checkpoints(tmp_path / "stream" / "predictions.db")
    assert other.positions(STREAM) == {"s0": Position("42", False), "s1": Position("7", True)}


def test_a_stream_made_anew_has_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "predictions.db")
    checkpoints.save(STREAM, "s0", Position("41", False))
    assert checkpoints.positions(StreamId("predictions", "2.000")) == {}
    assert checkpoints.positions(StreamId("others", "1.000")) == {}


def test_the_end_of_an_empty_shard_is_remembered_too(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "predictions.db")
    checkpoints.save(STREAM, "s0", Position(None, True))
    assert checkpoints.positions(STREAM) == {"s0": Position(None, True)}


def test_a_second_holder_is_told_who_holds_them_and_changes_nothing(tmp_path: Path) -> None:
    first = Checkpoints(tmp_path / "predictions.db")
    first.save(STREAM, "s0", Position("41", False))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(CheckpointsHeld, match=r"is in use by process \d+ on .+ since \d{4}-"):
        Checkpoints(tmp_path / "predictions.db")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    first.close()
    Checkpoints(tmp_path / "predictions.db").close()


@pytest.mark.parametrize("content", [b"no database, but long enough to be taken for one" * 20, None])
def test_what_cannot_be_written_is_said_before_anything_is_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "predictions.db"
    if content:
        path.write_bytes(content)
    else:
        path.mkdir()
    with pytest.raises(CheckpointsBroken, match=r"predictions\.db cannot be used"):
        Checkpoints(path)


def test_an_older_file_is_given_the_layouts_number_and_keeps_its_positions(tmp_path: Path) -> None:
    path = tmp_path / "predictions.db"
    one = Checkpoints(path)
    one.save(STREAM, "s0", Position("41", False))
    one.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=0")
    other = Checkpoints(path)
    assert other.positions(STREAM) == {"s0": Position("41", False)}
    other.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (LAYOUT,)


def test_what_a_newer_version_wrote_is_left_as_it_is_and_the_error_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "predictions.db"
    Checkpoints(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=7")
    for _ in range(2):  # the lock of the first was released, and the number was not overwritten
        with pytest.raises(CheckpointsBroken, match=r"have layout 7, .* up to 1: .* run that version \(git pull\)"):
            Checkpoints(path)
