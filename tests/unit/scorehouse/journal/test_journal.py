"""The journal: what append says is written is there, whatever happens to the disk, the clock or the folder."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from scorehouse.errors import JournalError
from scorehouse.journal import journal
from scorehouse.journal.journal import Journal, Segment, segments
from tests.toy import ROOT


def lines_of(folder: Path) -> list[bytes]:
    return [line for path in segments(folder) for line in Segment(path).read()[0]]


def test_an_appended_line_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    one = Journal(tmp_path / "journal", "http")
    one.append(b'{"a":1}\n{"a":2}\n')
    one.append(b'{"a":3}\n')
    assert lines_of(tmp_path / "journal") == [b'{"a":1}', b'{"a":2}', b'{"a":3}']


def test_a_segment_grows_to_its_size_and_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 20)
    one = Journal(tmp_path, "http")
    for i in range(10):
        one.append(b"line %d\n" % i)
    assert len(list(segments(tmp_path))) == 4
    assert lines_of(tmp_path) == [b"line %d" % i for i in range(10)]


def test_many_threads_never_mix_their_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 2000)
    one = Journal(tmp_path, "http")

    def write(name: int) -> None:
        for i in range(200):
            one.append(b"%d-%d-%s\n" % (name, i, b"x" * 50))

    threads = [Thread(target=write, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    found = lines_of(tmp_path)
    assert sorted(found) == sorted(b"%d-%d-%s" % (n, i, b"x" * 50) for n in range(6) for i in range(200))


def test_a_clock_that_stands_still_or_steps_back_overwrites_nothing(tmp_path: Path) -> None:
    def clock() -> int:
        return 1_700_000_000_000_000_000

    for i in range(5):
        one = Journal(tmp_path, "http", clock)
        one.append(b"%d\n" % i)
        one.close()
    assert sorted(lines_of(tmp_path)) == [b"0", b"1", b"2", b"3", b"4"]


def test_segments_are_read_in_the_order_of_their_making_whatever_their_door(tmp_path: Path) -> None:
    ticks = count(1_700_000_000_000_000_000)
    for door, line in (("stream", b"first\n"), ("http", b"second\n"), ("batch-door", b"third\n")):
        one = Journal(tmp_path, door, lambda: next(ticks))
        one.append(line)
    assert lines_of(tmp_path) == [b"first", b"second", b"third"]


def test_a_torn_last_line_is_not_read_and_its_segment_is_deleted_without_it(tmp_path: Path) -> None:
    path = tmp_path / "http-1-1.jsonl"
    path.write_bytes(b"whole\ntorn")
    segment = Segment(path)
    lines, offset = segment.read()
    assert lines == [b"whole"]
    segment.done(offset)
    assert segment.read() == ([], offset)
    assert segment.delete_if_finished()
    assert not path.exists()


def test_a_line_that_is_only_half_there_is_read_whole_once_it_is(tmp_path: Path) -> None:
    path = tmp_path / "http-1-1.jsonl"
    path.write_bytes(b"first\nsec")
    segment = Segment(path)
    lines, offset = segment.read()
    segment.done(offset)
    with path.open("ab") as file:
        file.write(b"ond\nthird\n")
    assert lines + segment.read()[0] == [b"first", b"second", b"third"]


def test_a_line_longer_than_a_read_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "http-1-1.jsonl"
    path.write_bytes(b"x" * 1000 + b"\nshort\n")
    segment = Segment(path)
    assert segment.read(most=64)[0][0] == b"x" * 1000


def test_carriage_returns_inside_a_line_do_not_split_it(tmp_path: Path) -> None:
    (tmp_path / "http-1-1.jsonl").write_bytes(b"a\rb\x0bc\n\n")
    assert lines_of(tmp_path) == [b"a\rb\x0bc", b""]


def test_a_segment_is_never_deleted_under_its_writer(tmp_path: Path) -> None:
    one = Journal(tmp_path, "http")
    one.append(b"1\n")
    (path,) = segments(tmp_path)
    segment = Segment(path)
    segment.done(segment.read()[1])
    assert not segment.delete_if_finished()
    one.append(b"2\n")
    one.close()
    assert not segment.delete_if_finished()  # its last line is not stored yet
    assert segment.read()[0] == [b"2"]
    segment.done(segment.read()[1])
    assert segment.delete_if_finished()


def failing(monkeypatch: pytest.MonkeyPatch, write: Callable[[int, bytes], int]) -> None:
    monkeypatch.setattr(journal.os, "write", write)


def test_a_write_that_fails_is_told_and_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, lines: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    one = Journal(tmp_path, "http")
    failing(monkeypatch, full)
    for _ in range(100):
        with pytest.raises(JournalError, match="No space left"):
            one.append(b"1\n")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    one.append(b"2\n")
    assert lines_of(tmp_path) == [b"2"]


def test_nothing_follows_a_torn_line_in_its_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    one = Journal(tmp_path, "http")
    one.append(b"before\n")
    failing(monkeypatch, lambda file, lines: real(file, lines[:3]))
    with pytest.raises(JournalError, match="full"):
        one.append(b"torn-line\n")
    monkeypatch.undo()
    one.append(b"after\n")
    assert len(list(segments(tmp_path))) == 2
    assert lines_of(tmp_path) == [b"before", b"after"]


def test_a_limit_of_the_file_size_is_met_as_a_full_disk_is(tmp_path: Path) -> None:
    """The real thing, by RLIMIT_FSIZE in a process of its own: what was acknowledged is there, and nothing else."""
    program = """
        import resource, sys
        from pathlib import Path
        from scorehouse.errors import JournalError
        from scorehouse.journal.journal import Journal
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        journal, refused = Journal(Path(sys.argv[1]), "http"), 0
        for i in range(0, 300, 3):
            try:
                journal.append(b"".join(b"%06d-%s\\n" % (n, b"x" * 10) for n in (i, i + 1, i + 2)))
                print(i, i + 1, i + 2)
            except JournalError:
                refused += 1
        assert refused == 5, refused  # three lines at a time: what is cut off ends its segment, and leaves nothing
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    acknowledged = [b"%06d-%s" % (int(i), b"x" * 10) for i in ended.stdout.split()]
    assert len(acknowledged) == 285
    assert sorted(lines_of(tmp_path)) == acknowledged


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = Journal(tmp_path / "file" / "journal", "http")
    with pytest.raises(JournalError):
        one.append(b"1\n")
    with pytest.raises(JournalError):
        one.check()


def test_the_check_writes_no_line_and_knows_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Journal(tmp_path, "http")
    one.check()
    assert lines_of(tmp_path) == []
    real = os.fstatvfs(0)
    monkeypatch.setattr(journal.os, "fstatvfs", lambda _: os.statvfs_result((*real[:4], 0, *real[5:])))
    with pytest.raises(JournalError, match="disk is full"):
        one.check()


@pytest.mark.parametrize("noticed_by", ["append", "check", "close"])
def test_a_segment_deleted_under_its_writer_is_written_again(
    tmp_path: Path, noticed_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOOK_SECONDS", 1000 if noticed_by == "close" else 0)
    one = Journal(tmp_path / "journal", "http")
    one.append(b"1\n")
    for path in (tmp_path / "journal").iterdir():
        path.unlink()
    (tmp_path / "journal").rmdir()
    if noticed_by == "check":
        one.check()
        assert lines_of(tmp_path / "journal") == [b"1"]
    one.append(b"2\n")
    one.append(b"3\n")
    if noticed_by == "close":
        one.close()
    assert lines_of(tmp_path / "journal") == [b"1", b"2", b"3"]
    if noticed_by == "close":
        return
    (path,) = segments(tmp_path / "journal")
    assert not Segment(path).delete_if_finished()  # its writer holds the lock of the new one


def test_a_deleted_segment_that_cannot_be_written_again_is_told_and_kept_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0)
    one = Journal(tmp_path / "journal", "http")
    one.append(b"1\n")
    shutil.rmtree(tmp_path / "journal")
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(JournalError, match="deleted"):
        one.append(b"refused\n")
    (tmp_path / "journal").unlink()
    one.append(b"2\n")
    assert lines_of(tmp_path / "journal") == [b"1", b"2"]


def test_whole_lines_before_a_cut_are_taken_back_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    one = Journal(tmp_path, "http")
    one.append(b"before\n")
    failing(monkeypatch, lambda file, lines: real(file, lines[:14]))
    with pytest.raises(JournalError, match="full"):
        one.append(b"first\nsecond\nthird\n")
    monkeypatch.undo()
    assert lines_of(tmp_path) == [b"before"]


def test_a_killed_writers_lock_is_gone_and_its_lines_are_there(tmp_path: Path) -> None:
    program = """
        import os, signal, sys
        from pathlib import Path
        from scorehouse.journal.journal import Journal
        Journal(Path(sys.argv[1]), "http").append(b"acknowledged\\n")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    assert subprocess.run(command, env=environ, timeout=60, check=False).returncode == -9
    (path,) = segments(tmp_path)
    segment = Segment(path)
    lines, offset = segment.read()
    assert lines == [b"acknowledged"]
    segment.done(offset)
    assert segment.delete_if_finished()
