"""What people set for one machine: `.env.NAME.machine`, which git ignores and which is read after `.env.NAME`."""

from __future__ import annotations

import subprocess
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from stack.env_files import read_file

HEAD = """\
# The settings of this machine: what you write here overrides {tracked}. Git ignores this file.
# .env explains every setting. One per line: NAME=value
"""


def machine_file(name: str, root: Path) -> Path:
    """Return the path of the file that holds this machine's settings of env=`name`."""
    return root / f".env.{name}.machine"


def read_machine_file(name: str, root: Path) -> dict[str, str]:
    """Return this machine's settings of env=`name`; empty if there is no such file. Raises StackError."""
    path = machine_file(name, root)
    return read_file(path) if path.exists() else {}


def unknown_settings(name: str, root: Path) -> list[str]:
    """Return a line for each name in this machine's file that is not a setting, with the one that was likely meant.

    Raises:
        StackError: a file cannot be read.
    """
    known = {*read_file(root / ".env"), *read_file(root / f".env.{name}")}
    unknown = [setting for setting in read_machine_file(name, root) if setting not in known]
    nearest = {setting: get_close_matches(setting, known, n=1) for setting in unknown}
    return [
        f"{machine_file(name, root).name}: {setting} is not a setting"
        + (f"; did you mean {nearest[setting][0]}?" if nearest[setting] else " (.env lists all of them)")
        for setting in unknown
    ]


def create_machine_file(name: str, root: Path) -> None:
    """Create the file if there is none, so that Compose's `--env-file` finds it. Only its owner may read it."""
    path = machine_file(name, root)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(HEAD.format(tracked=f".env.{name}"))


def changed_settings(name: str, root: Path) -> list[str]:
    """Return the settings of `.env.<name>` that differ from the checked-out commit's; empty if git does not track it.

    Raises:
        StackError: the file cannot be read.
    """
    path = f".env.{name}"
    command = ["git", "show", f"HEAD:./{path}"]
    try:
        shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    tracked = {k: v or "" for k, v in dotenv_values(stream=StringIO(shown), interpolate=False).items()}
    here = read_file(root / path)
    return sorted(setting for setting in tracked.keys() | here.keys() if tracked.get(setting) != here.get(setting))


def moving_hint(name: str, changed: list[str]) -> str:
    """Return how a person moves changed settings out of the tracked file. RUN_ID is dropped: the registry knows it."""
    tracked = f".env.{name}"
    return (
        f"{tracked} was changed on this machine ({', '.join(changed)}), so a later `git pull` may refuse "
        f"to replace it. This moves the changes to {tracked}.machine, except RUN_ID, which the registry remembers:\n"
        f"  git diff -U0 {tracked} | sed -n 's/^+\\([A-Za-z]\\)/\\1/p' | grep -v '^RUN_ID=' >> {tracked}.machine; "
        f"git restore {tracked}"
    )
