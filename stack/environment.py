"""What the stack is told: the file of `env=`, the secrets, and the shell before both; what is unsafe is refused."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scorehouse.errors import ScorehouseError
from scorehouse.settings import Settings

ROOT = Path(__file__).parents[1]
SECRETS = ROOT / ".secrets.env"
# What containers read from the env file alone: the product's settings, but those that the Compose files give, one of
# which may hold a password. Nothing else of a shell, credentials first of all, gets into a file.
_GIVEN = {"RUN_ID", "CHANGED_BY", "WHY", "DOORS", "USE_CASE", "DATA", "MONGODB_ADDRESS", "MLFLOW_ADDRESS"}
_READ = {name.upper() for name in Settings.model_fields} - _GIVEN
_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")


class StackError(ScorehouseError):
    """The stack cannot be started, or a part of it is not well."""


def read_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file. Raises StackError where there is none."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError as error:
        raise StackError(f"there is no {path.name}: env is local or cloud") from error
    return {found[1]: found[2].strip() for line in lines if (found := _LINE.match(line))}


def make_secrets(path: Path = SECRETS) -> list[str]:
    """Add every secret that is missing to `path`, which only its owner may read; return the names of the new ones."""
    known = read_file(path) if path.exists() else {}
    wanted = {
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "PREFECT_API_AUTH_STRING": f"admin:{secrets.token_hex(24)}",
        "GRAFANA_ADMIN_PASSWORD": secrets.token_hex(24),
        "GATEWAY_API_KEYS": secrets.token_hex(24),
    }
    new = {name: value for name, value in wanted.items() if not known.get(name)}
    if new:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in new.items())
    return sorted(new)


def settings_of(name: str, shell: Mapping[str, str] = os.environ, root: Path = ROOT) -> dict[str, str]:
    """Return the env file's variables and the shell's before them, for a command that needs no container."""
    file = read_file(root / f".env.{name}")
    return {**file, **{k: v for k, v in shell.items() if v or k not in file}}


def environment(name: str, shell: Mapping[str, str] = os.environ, root: Path = ROOT) -> dict[str, str]:
    """Return what every command of the stack finds in its environment; an empty variable of the shell counts as unset.

    Raises:
        StackError: there is no such file, or its settings are unsafe for a machine in the cloud: each is named.
    """
    file = read_file(root / f".env.{name}")
    made = {**file, **read_file(root / SECRETS.name), **{k: v for k, v in shell.items() if v or k not in file}}
    if name == "cloud" and (faults := unsafe(made)):
        raise StackError("env=cloud refuses to start:\n  " + "\n  ".join(faults))
    table = made.get("DATA", "")
    if table and not table.startswith("s3://"):  # a path of this machine: containers read what init_aws uploaded of it
        table = f"s3://{made['BUCKET_NAME']}/{made['USE_CASE']}/training.csv"
    return {
        **made,
        "ENV_FILE": told(name, {k: v for k, v in shell.items() if v and k in file}, root),
        "WORKER_DATA": table,
        # a profile of the use case's name takes in what it alone needs
        "COMPOSE_PROFILES": ",".join(filter(None, (made.get("COMPOSE_PROFILES"), made.get("USE_CASE")))),
        "COMMIT": made.get("COMMIT") or commit(root),
        "COMPOSE_IGNORE_ORPHANS": "true",  # the other half's containers are none
        "DOCKER_BUILDKIT": "1",
    }


def told(name: str, overrides: Mapping[str, str], root: Path = ROOT) -> str:
    """Return the env file that containers read: the committed one, or a copy with what the shell says otherwise."""
    path = root / f".env.{name}"
    changed = {k: v for k, v in overrides.items() if k in _READ and read_file(path)[k] != v}
    if not changed:
        return path.name
    copy = root / "var" / "stack" / path.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    lines = [line for line in path.read_text().splitlines() if line.partition("=")[0] not in changed]
    copy.write_text("\n".join([*lines, *(f"{k}={v}" for k, v in sorted(changed.items()))]) + "\n")
    return str(copy.relative_to(root))


def unsafe(made: Mapping[str, str]) -> list[str]:
    """Return, a line each, which settings must not stand as they are where others can reach the machine."""
    faults = []
    public = {}
    for name in ("BIND_ADDRESS", "GATEWAY_BIND"):
        address = made.get(name) or "127.0.0.1"
        try:
            public[name] = not _private(address)
        except ValueError:
            faults.append(f"{name}={address} is no IP address")
    if public.get("BIND_ADDRESS"):
        faults.append(
            f"BIND_ADDRESS={made['BIND_ADDRESS']} is public, and MLflow, MongoDB and the scorer have no password"
        )
    if made.get("BUCKET_NAME", "") in {"", "scorehouse"}:
        faults.append("BUCKET_NAME is not set: choose one; the default is taken by somebody else's")
    if "emulator" in made.get("COMPOSE_PROFILES", ""):
        faults.append("COMPOSE_PROFILES names the emulator, which forgets everything when it restarts")
    if "gateway" not in made.get("COMPOSE_PROFILES", "").split(","):
        faults.append("COMPOSE_PROFILES lacks the gateway, without which nobody but this machine reaches the scorer")
    if not made.get("GATEWAY_TLS") and public.get("GATEWAY_BIND"):
        faults.append("GATEWAY_TLS is not set: API keys would travel in the clear; name the certificate's folder")
    faults += [
        f"{name}={made[name]} is no address of AWS: empty, or https://…"
        for name in ("KINESIS_ADDRESS", "S3_ADDRESS", "AWS_INSIDE")
        if made.get(name, "").startswith("http://")
    ]
    if made.get("AWS_ACCESS_KEY_ID") == "test":
        faults.append("AWS_ACCESS_KEY_ID=test is the emulator's")
    faults += [
        f"{name} is shorter than 24 characters: remove it from .secrets.env and start again"
        for name in ("POSTGRES_PASSWORD", "PREFECT_API_AUTH_STRING", "GRAFANA_ADMIN_PASSWORD", "GATEWAY_API_KEYS")
        if len(made.get(name, "")) < 24
    ]
    return faults


def _private(address: str) -> bool:
    """Say whether only this machine or a private network reaches `address`. Raises ValueError for what is none."""
    found = ipaddress.ip_address(address)
    return found.is_private and not found.is_unspecified


def commit(root: Path = ROOT) -> str:
    """Return the checkout's commit, `-dirty` when the images' code differs from it, or `unknown` outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False).stdout.strip()

    services = ("model_orchestration", "server", "simulation_business", "monitoring", "reporting", "web_service")
    code = ("src", "use_cases", *services, "requirements")
    head = git("rev-parse", "HEAD")
    return f"{head}-dirty" if head and git("status", "--porcelain", "--", *code) else head or "unknown"


def remember_run(name: str, run_id: str, root: Path = ROOT) -> None:
    """Write `run_id` into the env file, where RUN_ID is empty there."""
    path = root / f".env.{name}"
    path.write_text(re.sub(r"(?m)^RUN_ID=$", f"RUN_ID={run_id}", path.read_text(), count=1))
