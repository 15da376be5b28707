"""The gateway's keys as files: what a file says, which names are refused, and that an older stack's keys move once."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stack.env_files import read_file
from stack.errors import StackError
from stack.keys import KeyFolder, adopt_old_keys, table

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
OLD = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


def test_a_key_is_a_file_named_by_its_hash_which_does_not_contain_it(folder: KeyFolder, tmp_path: Path) -> None:
    key = folder.add("shop", ["outcomes", "score"], "low", NOW, days=30)
    assert re.fullmatch(r"sh_[A-Za-z0-9_-]{43}", key)
    (path,) = (tmp_path / "keys").iterdir()
    assert path.name == hashlib.sha256(key.encode()).hexdigest()
    assert json.loads(path.read_text()) == {
        "name": "shop", "scopes": ["score", "outcomes"], "rate": "low",
        "created_at": "2026-11-27T12:00:00Z", "expires_at": "2026-12-27T12:00:00Z",
    }  # fmt: skip


def test_the_gateways_user_opens_a_key_by_its_name_but_nobody_else_lists_them(
    folder: KeyFolder, tmp_path: Path
) -> None:
    folder.add("shop", ["score"], "normal", NOW)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o711
    assert next((tmp_path / "keys").iterdir()).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("name", "scopes", "rate", "days", "reason"),
    [
        ("", ["score"], "normal", None, "is not a key's name"),
        ("Shop", ["score"], "normal", None, "is not a key's name"),
        ("-shop", ["score"], "normal", None, "is not a key's name"),
        ("a" * 41, ["score"], "normal", None, "is not a key's name"),
        ("shop\n", ["score"], "normal", None, "is not a key's name"),
        ("taken", ["score"], "normal", None, "already"),
        ("shop", ["admin"], "normal", None, "'admin' is not a scope"),
        ("shop", [], "normal", None, "SCOPES is empty"),
        ("shop", ["score"], "fast", None, "RATE=fast"),
        ("shop", ["score"], "normal", 0, "DAYS=0"),
    ],
)
def test_what_a_key_cannot_be_is_refused(
    folder: KeyFolder, name: str, scopes: list[str], rate: str, days: float | None, reason: str
) -> None:
    folder.add("taken", ["score"], "normal", NOW)
    with pytest.raises(StackError, match=re.escape(reason)):
        folder.add(name, scopes, rate, NOW, days)
    assert [key.name for _, key in folder.list()] == ["taken"]


def test_a_revoked_key_has_no_file_and_its_name_is_free(folder: KeyFolder, tmp_path: Path) -> None:
    folder.add("shop", ["score"], "normal", NOW)
    folder.revoke("shop")
    assert list((tmp_path / "keys").iterdir()) == []
    with pytest.raises(StackError, match="no key with the name 'shop'"):
        folder.revoke("shop")
    folder.add("shop", ["score"], "normal", NOW)


def test_without_a_name_the_message_shows_how_to_give_one(folder: KeyFolder) -> None:
    with pytest.raises(StackError, match="NAME is missing: run `make revoke NAME=shop`"):
        folder.revoke("")


def test_a_reset_removes_every_key_and_no_other_file(folder: KeyFolder, tmp_path: Path) -> None:
    folder.clear()
    folder.add("shop", ["score"], "normal", NOW)
    (tmp_path / "keys" / "notes.txt").touch()
    folder.clear()
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["notes.txt"]


def test_the_list_shows_all_but_the_keys(folder: KeyFolder) -> None:
    assert "make key" in table([], NOW)
    folder.add("shop", ["score"], "normal", datetime(2026, 1, 2, tzinfo=UTC), days=3)
    folder.add("anna", ["read"], "low", NOW)
    lines = table([key for _, key in folder.list()], NOW).splitlines()
    assert lines[1].split() == ["anna", "read", "low", "2026-11-27", "never"]
    assert lines[2].split() == ["shop", "score", "normal", "2026-01-02", "2026-01-05", "(expired)"]


def test_a_file_that_is_no_key_is_named(folder: KeyFolder, tmp_path: Path) -> None:
    folder.create()
    (tmp_path / "keys" / ("0" * 64)).write_text('{"name": "x"}')
    with pytest.raises(StackError, match="0000 is not a key's file"):
        folder.list()


def test_an_older_stacks_keys_move_into_files_once_and_stay_revoked(folder: KeyFolder, tmp_path: Path) -> None:
    secrets = tmp_path / ".secrets.env"
    secrets.write_text(f"POSTGRES_PASSWORD=p\nGATEWAY_API_KEYS={OLD},{OLD[::-1]}\nGRAFANA_ADMIN_PASSWORD=g\n")
    secrets.chmod(0o600)
    assert adopt_old_keys(folder, secrets, NOW) == ["first", "first-2"]
    files = {path.name: key for path, key in folder.list()}
    assert files[hashlib.sha256(OLD.encode()).hexdigest()].scopes == ("score", "outcomes", "read", "deploy")
    assert read_file(secrets) == {"POSTGRES_PASSWORD": "p", "GRAFANA_ADMIN_PASSWORD": "g"}
    assert secrets.stat().st_mode & 0o777 == 0o600
    folder.revoke("first")
    assert adopt_old_keys(folder, secrets, NOW) == []
    assert [key.name for _, key in folder.list()] == ["first-2"]
    assert adopt_old_keys(folder, tmp_path / "none", NOW) == []
