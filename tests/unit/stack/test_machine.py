"""The settings of one machine have a file of their own, and what was written into a tracked file is moved there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from stack.env_files import read_file
from stack.environment import ROOT, read_files
from stack.machine import (
    changed_settings,
    create_machine_file,
    machine_file,
    moving_hint,
    unknown_settings,
)
from tests.git import git

RUN = "0123456789abcdef" * 2
# .env.local as it was while `make up` wrote RUN_ID into it.
OLD = """\
# The settings of the local stack (env=local) that differ from .env, which explains every setting.
RUN_ID=
# The AWS emulator, as this machine and as containers reach it; it accepts any keys.
KINESIS_ADDRESS=http://127.0.0.1:4566
S3_ADDRESS=http://127.0.0.1:4566
AWS_INSIDE=http://localstack:4566
AWS_ACCESS_KEY_ID=test
AWS_SECRET_ACCESS_KEY=test
# Optional parts: emulator (Kinesis and S3), simulators (traffic for both scorers), grafana, gateway.
COMPOSE_PROFILES=emulator,simulators,grafana
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the env files of this one."""
    git(tmp_path, "init", "-q", "-b", "main")
    for name in (".env", ".env.local", ".gitignore"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_file_is_created_once_for_its_owner_and_git_ignores_it(checkout: Path) -> None:
    create_machine_file("local", checkout)
    path = machine_file("local", checkout)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_file(path) == {}
    path.write_text("BIND_ADDRESS=10.0.0.7\n")
    create_machine_file("local", checkout)
    assert read_file(path) == {"BIND_ADDRESS": "10.0.0.7"}
    assert git(checkout, "status", "--porcelain") == ""


def test_changes_of_the_tracked_file_are_listed_and_moved_by_the_command_that_the_hint_gives(checkout: Path) -> None:
    tracked = checkout / ".env.local"
    create_machine_file("local", checkout)
    assert changed_settings("local", checkout) == []
    text = tracked.read_text().replace("RUN_ID=\n", f"RUN_ID={RUN}\n").replace("_PROFILES=emulator,", "_PROFILES=")
    tracked.write_text(f"{text}# for bob\nBIND_ADDRESS=10.0.0.7\nDATA='a b.csv'\n")
    before = read_files("local", checkout)
    changed = changed_settings("local", checkout)
    assert changed == ["BIND_ADDRESS", "COMPOSE_PROFILES", "DATA", "RUN_ID"]
    _, command = moving_hint("local", changed).split("\n")
    subprocess.run(["bash", "-c", command], cwd=checkout, check=True)
    assert git(checkout, "status", "--porcelain") == ""
    assert read_files("local", checkout) == {**before, "RUN_ID": ""}


def test_a_file_that_git_does_not_track_has_no_changes(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (checkout / ".env.second").write_text("RUN_ID=\n")
    assert changed_settings("second", checkout) == []
    elsewhere = tmp_path_factory.mktemp("no-git")
    (elsewhere / ".env.local").write_text("RUN_ID=\n")
    assert changed_settings("local", elsewhere) == []


def test_a_checkout_in_which_an_earlier_version_wrote_run_id_can_pull_this_one(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`git pull` stops where a file that was changed here differs upstream, so .env.local must stay as it is.

    So must .env.cloud, which is not compared, because forks commit their RUN_ID and bucket there.
    """
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / ".env.local").write_text(OLD)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "an earlier version")
    machine = tmp_path_factory.mktemp("machine") / "clone"
    git(tmp_path, "clone", "-q", ".", str(machine))
    written = OLD.replace("RUN_ID=\n", f"RUN_ID={RUN}\n")
    (machine / ".env.local").write_text(written)

    for name in (".env", ".env.local", ".gitignore"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "this version")
    git(machine, "pull", "-q", "--ff-only")
    assert (machine / ".env.local").read_text() == written
    assert read_files("local", machine)["RUN_ID"] == RUN


def test_a_name_that_is_not_a_setting_is_told_with_the_one_that_was_meant(tmp_path: Path) -> None:
    for name in (".env", ".env.local"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    assert unknown_settings("local", tmp_path) == []
    (tmp_path / ".env.local.machine").write_text("SCORER_PRT=9700\nTRIALS=4\nZZZ=1\n")
    assert unknown_settings("local", tmp_path) == [
        ".env.local.machine: SCORER_PRT is not a setting; did you mean SCORER_PORT?",
        ".env.local.machine: ZZZ is not a setting (.env lists all of them)",
    ]
