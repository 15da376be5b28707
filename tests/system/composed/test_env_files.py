"""Hostile lines of env files: `make`, Compose and a container see the same value, or `make` refuses the line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.env_lines import LINES, REFUSED, VALUES
from tests.system.composed.project import ROOT

pytestmark = pytest.mark.compose
ACCEPTED = [(line, value) for line, value in LINES if value is not REFUSED]
IMAGE = os.environ.get("COMPOSE_TEST_IMAGE", "python:3.11-slim-bookworm")


def project(folder: Path, lines: list[str]) -> list[str]:
    """Write a service for each line, whose env file holds the line, and return the command of Compose."""
    services = {}
    for number, line in enumerate(lines):
        (folder / f".env.{number}").write_bytes(f"{line}\n".encode())
        about = {"image": IMAGE, "env_file": [f".env.{number}"]}
        services[f"s{number}"] = about
    (folder / "compose.yml").write_text(json.dumps({"services": services}))
    return ["docker", "compose", "-p", "scorehouse-env", "-f", "compose.yml"]


def run(command: list[str], folder: Path, given: str = "") -> str:
    env = {name: value for name, value in os.environ.items() if name != "X"}
    done = subprocess.run(command, cwd=folder, env=env, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def interpolated(folder: Path, number: int) -> str:
    """Return what Compose puts in the place of ${X} with this line in its env file."""
    (folder / "one.yml").write_text('services: {s: {image: x, environment: {X: "${X}"}}}')
    command = ["docker", "compose", "--env-file", f".env.{number}", "-f", "one.yml", "config", "--format", "json"]
    value = json.loads(run(command, folder))["services"]["s"]["environment"]["X"]
    return str(value).replace("$$", "$")  # how Compose prints a $


def test_compose_and_containers_read_what_make_reads(tmp_path: Path) -> None:
    lines = [line for line, _ in ACCEPTED]
    compose = project(tmp_path, lines)
    shown = json.loads(run([*compose, "config", "--format", "json"], tmp_path))["services"]
    for number, (line, value) in enumerate(ACCEPTED):
        assert interpolated(tmp_path, number) == value, line
        assert shown[f"s{number}"]["environment"]["X"].replace("$$", "$") == value, line


def test_a_container_sees_hostile_values_of_files_and_of_the_shell(tmp_path: Path) -> None:
    values = {f"X{n}": value for n, (_, value) in enumerate(ACCEPTED)} | {f"Y{n}": v for n, v in enumerate(VALUES)}
    renamed = [line.replace("X", f"X{n}").replace("\r", "") for n, (line, _) in enumerate(ACCEPTED)]
    quote = (
        "import json, sys; from stack.env_files import quote; print(json.dumps([*map(quote, json.load(sys.stdin))]))"
    )
    quoted = json.loads(run([sys.executable, "-c", quote], ROOT, json.dumps(VALUES)))
    written = [f"Y{n}={value}" for n, value in enumerate(quoted)]
    text = "\n".join(line.removeprefix("\ufeff") for line in [*renamed, *written])
    compose = project(tmp_path, [text])
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = json.loads(run([*compose, "run", "--rm", "-T", "--no-deps", "s0", "python3", "-c", show], tmp_path))
    run([*compose, "down"], tmp_path)
    assert {name: seen.get(name) for name in values} == values
