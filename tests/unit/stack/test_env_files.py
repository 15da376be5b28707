"""Env files have one reading: `make` and Compose agree about every line that is not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.env_files import read_file, write_value
from stack.errors import StackError
from tests.env_lines import LINES, REFUSED


@pytest.mark.parametrize(("line", "value"), LINES)
def test_a_line_has_one_meaning_or_is_refused_by_its_number(line: str, value: str | None, tmp_path: Path) -> None:
    path = tmp_path / ".env.x"
    path.write_bytes(f"{line}\n".encode())
    if value is REFUSED:
        with pytest.raises(
            StackError, match=r"\.env\.x, line 1: write NAME='value'|\.env\.x, line 1: write NAME=value"
        ):
            read_file(path)
    else:
        assert read_file(path) == {"X": value}


def test_a_file_that_is_missing_or_not_utf_8_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"there is no \.env\.x: create it, or use env=local or env=cloud"):
        read_file(tmp_path / ".env.x")
    (tmp_path / ".env.x").write_bytes(b"X=\xff\n")
    with pytest.raises(StackError, match=r"\.env\.x is not UTF-8"):
        read_file(tmp_path / ".env.x")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"RUN_ID=\n", b"RUN_ID=ab\n"),
        (b"RUN_ID=''\nX=1\n", b"RUN_ID=ab\nX=1\n"),
        (b'export RUN_ID="cd" # why\r\nX=1\r\n', b"export RUN_ID=ab\r\nX=1\r\n"),
        (b"# RUN_ID=\nSHADOW_RUN_ID=\n RUN_ID = \n", b"# RUN_ID=\nSHADOW_RUN_ID=\n RUN_ID =ab\n"),
    ],
)
def test_a_value_is_written_in_its_place_and_every_other_byte_stays(
    before: bytes, after: bytes, tmp_path: Path
) -> None:
    path = tmp_path / ".env.x"
    path.write_bytes(before)
    write_value(path, "RUN_ID", "ab")
    assert path.read_bytes() == after
