"""The environment of the stack's commands: env files, secrets and the shell. Unsafe settings are refused."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path

import bcrypt

from scorehouse.errors import UseCaseError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from stack.env_files import quote, read_file, write_value
from stack.errors import StackError
from stack.machine import read_machine_file
from stack.signing import make_key, signing_variables

ROOT = Path(__file__).parents[1]
SHARED = ROOT / ".env"
SECRETS = ROOT / ".secrets.env"
HOST_DATA = ROOT / "var" / "stack"  # of commands on this machine: the bundles that they verified
# Settings that the Compose files set themselves. One of them may hold a password.
_SET_BY_COMPOSE = {
    "RUN_ID", "RUN_ID_IN_FILES", "CHANGED_BY", "WHY", "DOORS", "USE_CASE", "DATA", "MONGODB_ADDRESS", "MLFLOW_ADDRESS",
    "SIGNING_KEY_FILE", "VERIFY_KEY",
}  # fmt: skip
# Settings that containers read from env files alone. Only these are copied from the shell into a file: no credentials.
_READ_FROM_FILES = {name.upper() for name in Settings.model_fields} - _SET_BY_COMPOSE
PROFILES = ("emulator", "grafana", "simulators")  # of the Compose files, besides those with the name of a use case
_FORMER = "gateway"  # a profile until the gateway always started; older env files still name it
# A short one is refused in the cloud; PostgreSQL's has a remedy of its own.
_PASSWORDS = (
    "PREFECT_API_AUTH_STRING", "GRAFANA_ADMIN_PASSWORD", "SERVICE_SECRET", "MONGODB_PASSWORD", "MONGODB_ADMIN_PASSWORD",
    "MLFLOW_TRACKING_PASSWORD",
)  # fmt: skip


def read_files(name: str, root: Path = ROOT) -> dict[str, str]:
    """Return the variables of `.env`, over them those of `.env.<name>` and of this machine. Raises StackError."""
    return {**read_file(root / SHARED.name), **read_file(root / f".env.{name}"), **read_machine_file(name, root)}


def make_command(target: str, name: str) -> str:
    """Return the command that runs `target` on the stack of env=`name`, to print in a message."""
    return f"`make {target}`" if name == "local" else f"`make {target} env={name}`"


def make_secrets(path: Path = SECRETS) -> list[str]:
    """Add every missing secret to `path`, which only its owner may read; return the names of the new ones."""
    known = read_file(path) if path.exists() else {}
    prefect = known.get("PREFECT_API_AUTH_STRING", "").partition(":")[2]
    # One secret for all HTTP services, which Nginx also accepts where a key is needed. An older stack has Prefect's.
    secret = known.get("SERVICE_SECRET") or (prefect if re.fullmatch("[A-Za-z0-9_-]{24,}", prefect) else _random())
    wanted = {
        "POSTGRES_PASSWORD": _random(),
        "MONGODB_PASSWORD": _random(),
        "MONGODB_ADMIN_PASSWORD": _random(),
        "GRAFANA_ADMIN_PASSWORD": _random(),
        "VERIFY_KEY": make_key(path.parent),
        "SERVICE_SECRET": secret,
        "MLFLOW_TRACKING_PASSWORD": secret,
        "PREFECT_API_AUTH_STRING": f"admin:{secret}",
    }
    new = {name: value for name, value in wanted.items() if not known.get(name)}
    if new:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in new.items())
    return sorted([*new, *_hash_secret(path)])


def _random() -> str:
    return secrets.token_hex(24)


def _hash_secret(path: Path) -> list[str]:
    """Keep SERVICE_SECRET_BCRYPT, which Prometheus and Alertmanager compare with, in step with SERVICE_SECRET."""
    known = read_file(path)
    secret = known["SERVICE_SECRET"].encode()
    hashed = known.get("SERVICE_SECRET_BCRYPT", "")
    if hashed and bcrypt.checkpw(secret, hashed.encode()):
        return []
    line = f"'{bcrypt.hashpw(secret, bcrypt.gensalt(10)).decode()}'"  # in quotes: it contains $
    if "SERVICE_SECRET_BCRYPT" in known:
        write_value(path, "SERVICE_SECRET_BCRYPT", line)
    else:
        with path.open("a") as file:
            file.write(f"SERVICE_SECRET_BCRYPT={line}\n")
    return ["SERVICE_SECRET_BCRYPT"]


def settings_of(name: str, shell: Mapping[str, str] = os.environ, root: Path = ROOT) -> dict[str, str]:
    """Return the variables of the env files with the shell's over them, for a command that needs no container."""
    file = read_files(name, root)
    known = read_file(root / SECRETS.name) if (root / SECRETS.name).exists() else {}
    keys = {"VERIFY_KEY": known["VERIFY_KEY"]} if known.get("VERIFY_KEY") else {}
    return {**_with_keys(_override({**file, **keys}, shell), root), "RUN_ID_IN_FILES": _request(name, file)}


def environment(name: str, shell: Mapping[str, str] = os.environ, root: Path = ROOT) -> dict[str, str]:
    """Return the environment of every command of the stack; an empty variable of the shell counts as unset.

    Raises:
        StackError: there is no such file, or its settings are unsafe for a machine in the cloud: each is named.
    """
    file = read_files(name, root)
    variables = _override({**file, **read_file(root / SECRETS.name)}, shell)
    faults = find_public(variables) + find_missing(variables) + find_unknown(variables, root)
    faults += find_unsafe(variables) if name == "cloud" else []
    if faults:
        raise StackError(f"env={name} cannot start with these settings:\n  " + "\n  ".join(faults))
    table = _table(variables.get("USE_CASE", ""), variables.get("DATA", ""))
    if table and not table.startswith("s3://"):  # a path of this machine: containers read the copy init_aws uploaded
        table = f"s3://{variables['BUCKET_NAME']}/{variables['USE_CASE']}/training.csv"
    profiles = (variables.get("COMPOSE_PROFILES"), variables.get("USE_CASE"))  # parts that one use case alone needs
    return {
        **_with_keys(variables, root),
        "RUN_ID_IN_FILES": _request(name, file),
        "ENV_FILE": container_env_file(name, {k: v for k, v in shell.items() if v and k in file}, root),
        "WORKER_DATA": table,
        "COMPOSE_PROFILES": ",".join(filter(None, profiles)),
        "COMMIT": variables.get("COMMIT") or commit(root),
        "COMPOSE_IGNORE_ORPHANS": "true",  # the containers of the other file are not orphans
        "DOCKER_BUILDKIT": "1",
    }


def _table(use_case: str, data: str) -> str:
    """Return where the raw table is: at DATA, or where the use case's page says."""
    try:
        return load_use_case(use_case).table_at(data)
    except UseCaseError:  # whatever reads the page says what is wrong with it; `make down` needs no page
        return data


def _request(name: str, file: Mapping[str, str]) -> str:
    """What the env files ask for, as the setting RUN_ID_IN_FILES says it to a deployment."""
    return f"{name}:{file.get('RUN_ID', '')}"


def _with_keys(variables: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return `variables` with this checkout's key pair wherever they name no other."""
    return {**variables, **{k: v for k, v in signing_variables(root).items() if not variables.get(k)}}


def _override(file: Mapping[str, str], shell: Mapping[str, str]) -> dict[str, str]:
    return {**file, **{k: v for k, v in shell.items() if v or k not in file}}


def container_env_file(name: str, overrides: Mapping[str, str], root: Path = ROOT) -> str:
    """Return the env file that containers read after `.env`: as committed, or a copy with the shell's overrides.

    After it they read the file of the same name with `.machine` at its end: the copy contains it already.
    """
    path = root / f".env.{name}"
    file = read_files(name, root)
    changed = {k: v for k, v in overrides.items() if k in _READ_FROM_FILES and file[k] != v}
    if not changed:
        return path.name
    copy = root / "var" / "stack" / path.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    variables = {**read_file(path), **read_machine_file(name, root), **changed}
    copy.touch(mode=0o600)
    copy.write_text("".join(f"{k}={quote(v)}\n" for k, v in variables.items()))
    return str(copy.relative_to(root))


def find_public(variables: Mapping[str, str]) -> list[str]:
    """Return a line for each address on which any machine could reach more than the gateway, or without TLS.

    Docker publishes ports past the firewall of most machines, so this holds for every env file.
    """
    faults = []
    public = {}
    for name in ("BIND_ADDRESS", "GATEWAY_BIND"):
        address = variables.get(name) or "127.0.0.1"
        try:
            public[name] = not _is_private(address)
        except ValueError:
            faults.append(f"{name}={address} is not an IP address")
    if variables.get("ALLOW_PUBLIC_BIND", "false") == "true":
        return faults
    if public.get("BIND_ADDRESS"):
        faults.append(
            f"BIND_ADDRESS={variables['BIND_ADDRESS']} is public: every machine could try the ports of all services; "
            "use 127.0.0.1 and let others come through the gateway (GATEWAY_BIND), or set ALLOW_PUBLIC_BIND=true"
        )
    if public.get("GATEWAY_BIND") and not variables.get("GATEWAY_TLS"):
        faults.append(
            f"GATEWAY_BIND={variables['GATEWAY_BIND']} is public, but GATEWAY_TLS is not set: API keys would travel "
            "unencrypted; set GATEWAY_TLS to the certificate's folder, or set ALLOW_PUBLIC_BIND=true"
        )
    return faults


def find_unknown(variables: Mapping[str, str], root: Path) -> list[str]:
    """Return a line for a use case that has no page, and for profiles that no service has."""
    use_case, folder = variables.get("USE_CASE", ""), root / "use_cases"
    pages = sorted(page.stem for page in folder.glob("[a-z]*.py"))
    faults = []
    if folder.is_dir() and use_case and use_case not in pages:
        faults.append(f"USE_CASE={use_case}, but there is no use_cases/{use_case}.py; there are {', '.join(pages)}")
    chosen = [profile.strip() for profile in variables.get("COMPOSE_PROFILES", "").split(",") if profile.strip()]
    if unknown := [profile for profile in chosen if profile not in {*PROFILES, *pages, _FORMER}]:
        faults.append(f"COMPOSE_PROFILES has {', '.join(unknown)}; the profiles are {', '.join(PROFILES)}")
    return faults


def find_missing(variables: Mapping[str, str]) -> list[str]:
    """Return a line for each file of the gateway's certificate that is not there."""
    folder = variables.get("GATEWAY_TLS", "")
    missing = [name for name in ("fullchain.pem", "privkey.pem") if folder and not (Path(folder) / name).is_file()]
    if not missing:
        return []
    return [f"GATEWAY_TLS={folder} has no {' and no '.join(missing)}: name the certificate's folder, or leave it empty"]


def find_unsafe(variables: Mapping[str, str]) -> list[str]:
    """Return a line for each setting that a machine in the cloud cannot start with."""
    faults = []
    if variables.get("BUCKET_NAME", "") in {"", "scorehouse"}:
        faults.append(
            "BUCKET_NAME is empty or still the default 'scorehouse', which is already taken on S3: choose your own name"
        )
    if "emulator" in variables.get("COMPOSE_PROFILES", ""):
        faults.append("COMPOSE_PROFILES contains `emulator`, which loses everything when it restarts: remove it")
    faults += [
        f"{name}={variables[name]} is not an AWS endpoint: leave it empty, or use https://…"
        for name in ("KINESIS_ADDRESS", "S3_ADDRESS", "AWS_INSIDE")
        if variables.get(name, "").startswith("http://")
    ]
    if variables.get("AWS_ACCESS_KEY_ID") == "test":
        faults.append("AWS_ACCESS_KEY_ID=test is the emulator's key: set your own")
    if _is_short(variables.get("POSTGRES_PASSWORD", "")):  # the database keeps the password of its first start
        faults.append(
            "POSTGRES_PASSWORD is shorter than 24 characters: generate a new one, then change it in PostgreSQL "
            "(docs/operations.md#passwords)"
        )
    faults += [
        f"{name} is shorter than 24 characters: remove it from .secrets.env and start again"
        for name in _PASSWORDS
        if _is_short(variables.get(name, ""))
    ]
    return faults


def _is_short(secret: str) -> bool:
    return len(secret) < 24


def _is_private(address: str) -> bool:
    """Return whether only this machine or a private network reaches `address`. Raises ValueError."""
    ip = ipaddress.ip_address(address)
    return ip.is_private and not ip.is_unspecified


def commit(root: Path = ROOT) -> str:
    """Return the checkout's commit, with `-dirty` if the images' code differs from it; `unknown` outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False).stdout.strip()

    services = ("model_orchestration", "server", "simulation_business", "monitoring", "reporting", "web_service")
    code = ("src", "use_cases", *services, "requirements")
    head = git("rev-parse", "HEAD")
    return f"{head}-dirty" if head and git("status", "--porcelain", "--", *code) else head or "unknown"
