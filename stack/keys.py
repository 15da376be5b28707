"""Keys of the gateway: `python -m stack.keys --env local add NAME --scopes score,outcomes | list | revoke NAME`.

A key is a file in KEYS_FOLDER, named by the key's SHA-256, so the folder contains no key that somebody could use. The
gateway reads one file per request, so a key works from the moment its file exists until the file is removed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stack.env_files import read_file
from stack.environment import ROOT, SECRETS, make_command, settings_of
from stack.errors import StackError

SCOPES = {
    "score": "predictions and explanations; offers on the insurance pages",
    "outcomes": "what really happened",
    "read": "every page, for a person or a program",
    "deploy": "changes in MLflow",
}
RATES = ("low", "normal", "high")
OLD_SETTING = "GATEWAY_API_KEYS"  # of stacks before keys had files
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_FILE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Key:
    """What is stored about a key; the key itself is not. Times are ISO 8601 in UTC."""

    name: str
    scopes: tuple[str, ...]
    rate: str
    created_at: str
    expires_at: str | None = None


class KeyFolder:
    """The folder of keys. Only its owner lists or changes it; the gateway, another user, opens files by their names."""

    def __init__(self, path: Path):
        """Change nothing yet."""
        self._path = path

    def create(self) -> None:
        """Create the folder if it is missing, and let other users enter it but not list it."""
        if not self._path.is_dir():
            self._path.mkdir(parents=True)
            self._path.chmod(0o711)

    def list(self) -> list[tuple[Path, Key]]:
        """Return the file and the entry of every key, by name. Raises StackError for a file that is not valid."""
        found = [p for p in self._path.iterdir() if _FILE.fullmatch(p.name)] if self._path.is_dir() else []
        return sorted(((path, _read(path)) for path in found), key=lambda pair: pair[1].name)

    def add(self, name: str, scopes: Sequence[str], rate: str, now: datetime, days: float | None = None) -> str:
        """Make a key and return it: it cannot be read again later. Raises StackError."""
        key = f"sh_{secrets.token_urlsafe(32)}"
        with self._locked():
            self._write(key, name, scopes, rate, now, days)
        return key

    def adopt(self, key: str, now: datetime) -> str | None:
        """Make an existing key a file, with all scopes and a name that is free; None if it already is one."""
        with self._locked():
            if (self._path / _digest(key)).exists():
                return None
            taken = {known.name for _, known in self.list()}
            names = ("first", *(f"first-{number}" for number in range(2, len(taken) + 3)))
            name = next(n for n in names if n not in taken)
            self._write(key, name, tuple(SCOPES), "normal", now, None)
            return name

    def revoke(self, name: str) -> None:
        """Remove a key, which the gateway then refuses. Raises StackError if there is none of that name."""
        if not name:
            raise StackError("NAME is missing: run `make revoke NAME=shop`; `make keys` lists the names")
        with self._locked():
            files = [path for path, key in self.list() if key.name == name]
            if not files:
                raise StackError(f"there is no key with the name {name!r}: `make keys` lists them")
            for path in files:
                path.unlink()

    def clear(self) -> None:
        """Remove every key, if there is such a folder."""
        if self._path.is_dir():
            with self._locked():
                for path, _ in self.list():
                    path.unlink()

    def _write(self, key: str, name: str, scopes: Sequence[str], rate: str, now: datetime, days: float | None) -> None:
        if not _NAME.fullmatch(name):
            raise StackError(
                f"NAME={name} is not a key's name: use up to 40 lower-case letters, digits, _ and -, and start with a "
                "letter or a digit"
            )
        if any(known.name == name for _, known in self.list()):
            raise StackError(f"there is a key with the name {name} already: choose another, or revoke that one first")
        if unknown := [s for s in scopes if s not in SCOPES]:
            raise StackError(f"SCOPES: {unknown[0]!r} is not a scope: use {', '.join(SCOPES)}")
        if not scopes:
            raise StackError(f"SCOPES is empty: name what the key may do: {', '.join(SCOPES)}")
        if rate not in RATES:
            raise StackError(f"RATE={rate} is not a tier: use {', '.join(RATES)}")
        if days is not None and not 0 < days < 36500:
            raise StackError(f"DAYS={days:g} is not a number of days above 0")
        entry = {
            "name": name,
            "scopes": [s for s in SCOPES if s in scopes],
            "rate": rate,
            "created_at": _time(now),
            **({} if days is None else {"expires_at": _time(now + timedelta(days=days))}),
        }
        partial = self._path / f".new-{os.getpid()}"
        partial.write_text(json.dumps(entry))
        partial.chmod(0o644)
        partial.replace(self._path / _digest(key))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one command at a time change the folder, because a name must stay unique."""
        self.create()
        folder = os.open(self._path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def adopt_old_keys(folder: KeyFolder, path: Path = SECRETS, now: datetime | None = None) -> list[str]:
    """Make files of the keys in an older stack's `path`, and remove them there; return their new names.

    They are removed because a key that was revoked would otherwise return at the next start. Raises StackError.
    """
    if not path.exists() or OLD_SETTING not in (known := read_file(path)):
        return []
    moment = now or datetime.now(UTC)
    keys = [key.strip() for key in known[OLD_SETTING].split(",") if key.strip()]
    names = [name for key in keys if (name := folder.adopt(key, moment))]
    line = re.compile(rf"(?m)^[ \t]*(?:export[ \t]+)?{OLD_SETTING}[ \t]*=.*\n?")
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        file.write(line.sub("", path.read_text()))
    partial.replace(path)
    return names


def key_folder(variables: dict[str, str], root: Path = ROOT) -> KeyFolder:
    """Return the folder that the setting KEYS_FOLDER names; a relative path begins at the checkout."""
    return KeyFolder(root / (variables.get("KEYS_FOLDER") or ".keys"))


def table(keys: Sequence[Key], now: datetime) -> str:
    """Return the keys as lines for people."""
    if not keys:
        return "There are no keys. `make key NAME=… SCOPES=…` makes one."
    head = ("name", "scopes", "rate", "created", "expires")
    rows = [(k.name, ",".join(k.scopes), k.rate, k.created_at[:10], _end(k, now)) for k in keys]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in (head, *rows))


def _end(key: Key, now: datetime) -> str:
    if key.expires_at is None:
        return "never"
    return f"{key.expires_at[:10]}{' (expired)' if key.expires_at <= _time(now) else ''}"


def _read(path: Path) -> Key:
    try:
        entry = json.loads(path.read_text())
        return Key(**{**entry, "scopes": tuple(entry["scopes"])})
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{path} is not a key's file: remove it") from error


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def main() -> None:
    """Run one command; exit with status 1 and what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m stack.keys", description=__doc__)
    parser.add_argument("--env", default="local", help="env file that may set KEYS_FOLDER")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="make a key and print it")
    add.add_argument("name")
    add.add_argument("--scopes", default="", help=f"what it may do: {', '.join(SCOPES)}")
    add.add_argument("--rate", default="", help=f"its tier: {', '.join(RATES)} (default: normal)")
    add.add_argument("--days", default="", help="days until it expires (default: never)")
    commands.add_parser("list", help="list the keys")
    commands.add_parser("revoke", help="remove a key").add_argument("name")
    options = parser.parse_args()
    now = datetime.now(UTC)
    try:
        folder = key_folder(settings_of(options.env))
        if options.command == "add":
            scopes = [s for s in re.split(r"[ ,]+", options.scopes) if s]
            key = folder.add(options.name, scopes, options.rate or "normal", now, _days(options.days))
            end = make_command(f"revoke NAME={options.name}", options.env)
            sys.stderr.write(f"This is the key {options.name}. It is shown only once; {end} revokes it.\n")
            sys.stdout.write(f"{key}\n")
        elif options.command == "revoke":
            folder.revoke(options.name)
            sys.stdout.write(f"the key {options.name} is revoked, and its sessions have ended\n")
        else:
            sys.stdout.write(f"{table([key for _, key in folder.list()], now)}\n")
    except StackError as error:
        sys.exit(str(error))


def _days(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError as error:
        raise StackError(f"DAYS={text} is not a number of days above 0") from error


if __name__ == "__main__":
    main()
