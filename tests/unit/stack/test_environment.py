"""The environment of the stack: secrets are made once, the shell overrides files, the cloud refuses what is unsafe."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest
import yaml

from scorehouse.pages.loading import load_use_case
from stack.env_files import quote, read_file
from stack.environment import (
    PROFILES,
    ROOT,
    environment,
    find_unsafe,
    make_command,
    make_secrets,
    settings_of,
)
from stack.errors import StackError
from tests.env_lines import VALUES

SECRET = "s" * 48
SAFE = {
    "BIND_ADDRESS": "10.0.0.7", "BUCKET_NAME": "ours-1", "COMPOSE_PROFILES": "grafana", "AWS_INSIDE": "",
    "GATEWAY_BIND": "0.0.0.0", "GATEWAY_TLS": "/etc/tls",
    "POSTGRES_PASSWORD": SECRET, "PREFECT_API_AUTH_STRING": SECRET, "GRAFANA_ADMIN_PASSWORD": SECRET,
    "SERVICE_SECRET": SECRET, "MONGODB_PASSWORD": SECRET, "MONGODB_ADMIN_PASSWORD": SECRET,
    "MLFLOW_TRACKING_PASSWORD": SECRET,
}  # fmt: skip
MADE = [
    "GRAFANA_ADMIN_PASSWORD", "MLFLOW_TRACKING_PASSWORD", "MONGODB_ADMIN_PASSWORD", "MONGODB_PASSWORD",
    "POSTGRES_PASSWORD", "PREFECT_API_AUTH_STRING", "SERVICE_SECRET", "SERVICE_SECRET_BCRYPT",
    "VERIFY_KEY",
]  # fmt: skip
RUN = "0123456789abcdef" * 2


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".env").write_text((ROOT / ".env").read_text())
    for name in (".env.local", ".env.cloud"):
        (tmp_path / name).write_text((ROOT / name).read_text())
        text = re.sub(r"(?m)^RUN_ID=.*$", "RUN_ID=", (tmp_path / name).read_text())
        (tmp_path / name).write_text(text)
    make_secrets(tmp_path / ".secrets.env")
    return tmp_path


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / ".secrets.env"
    assert make_secrets(path) == MADE
    first = path.read_text()
    assert make_secrets(path) == [] and path.read_text() == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_secret_that_was_removed_is_made_again_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / ".secrets.env"
    path.write_text(f"POSTGRES_PASSWORD={SECRET}\n")
    assert make_secrets(path) == [name for name in MADE if name != "POSTGRES_PASSWORD"]
    assert read_file(path)["POSTGRES_PASSWORD"] == SECRET


def test_an_older_stack_keeps_the_password_of_prefect_and_every_service_gets_the_same(tmp_path: Path) -> None:
    path = tmp_path / ".secrets.env"
    path.write_text(f"PREFECT_API_AUTH_STRING=admin:{SECRET}\n")
    make_secrets(path)
    known = read_file(path)
    assert known["PREFECT_API_AUTH_STRING"] == f"admin:{SECRET}"
    assert known["SERVICE_SECRET"] == known["MLFLOW_TRACKING_PASSWORD"] == SECRET


@pytest.mark.parametrize("old", ["admin:short", "admin:a password with spaces that is long enough", "", "admin"])
def test_a_password_of_prefect_that_cannot_be_the_services_secret_is_not_taken_over(tmp_path: Path, old: str) -> None:
    path = tmp_path / ".secrets.env"
    path.write_text(f"PREFECT_API_AUTH_STRING='{old}'\n")
    make_secrets(path)
    assert re.fullmatch("[0-9a-f]{48}", read_file(path)["SERVICE_SECRET"])


def test_the_hash_follows_the_secret(tmp_path: Path) -> None:
    path = tmp_path / ".secrets.env"
    make_secrets(path)
    before = read_file(path)
    path.write_text(path.read_text().replace(f"SERVICE_SECRET={before['SERVICE_SECRET']}", f"SERVICE_SECRET={SECRET}"))
    assert make_secrets(path) == ["SERVICE_SECRET_BCRYPT"]
    assert bcrypt.checkpw(SECRET.encode(), read_file(path)["SERVICE_SECRET_BCRYPT"].encode())
    assert make_secrets(path) == []


def test_the_shell_overrides_the_files_and_its_empty_variables_do_not_count(root: Path) -> None:
    made = environment("local", {"USE_CASE": "wine", "SCORER_PORT": "", "COMMIT": "c"}, root)
    assert (made["USE_CASE"], made["SCORER_PORT"]) == ("wine", "9696")


def test_containers_get_the_settings_of_the_shell_but_no_run_and_no_credentials(root: Path) -> None:
    assert environment("local", {"COMMIT": "c", "RUN_ID": RUN, "USE_CASE": "wine"}, root)["ENV_FILE"] == ".env.local"
    credentials = {
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MONGODB_ADDRESS": f"mongodb://u:{SECRET}@h",
        "ALERT_SMTP_PASSWORD": SECRET,
    }
    shell = {"COMMIT": "c", "SCORER_WORKERS": "2", "LOG_LEVEL": "", **credentials}
    copy = root / environment("local", shell, root)["ENV_FILE"]
    file = read_file(root / ".env.local")
    assert copy.read_text() == "".join(f"{k}={quote(v)}\n" for k, v in {**file, "SCORER_WORKERS": "2"}.items())
    assert SECRET not in copy.read_text()


@pytest.mark.parametrize("value", VALUES)
def test_a_hostile_value_of_the_shell_is_one_line_of_the_containers_file(root: Path, value: str) -> None:
    copy = root / environment("local", {"COMMIT": "c", "TRAINING_CONFIG": value}, root)["ENV_FILE"]
    (line,) = [line for line in copy.read_text().splitlines() if line.startswith("TRAINING_CONFIG=")]
    assert line == f"TRAINING_CONFIG={quote(value)}"


def test_a_use_case_adds_the_profile_of_its_name(root: Path) -> None:
    made = environment("local", {"USE_CASE": "insurance", "COMPOSE_PROFILES": "emulator", "COMMIT": "c"}, root)
    assert made["COMPOSE_PROFILES"] == "emulator,insurance"


def test_no_door_is_pinned_to_a_run_because_another_run_would_need_a_restart() -> None:
    assert '      RUN_ID: ""\n' in (ROOT / "docker-compose-common.yml").read_text()


def test_a_command_without_containers_needs_no_secrets(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("USE_CASE=wine\n")
    (tmp_path / ".env.local").write_text("RUN_ID=\nUSE_CASE=churn\n")
    assert settings_of("local", {"RUN_ID": RUN, "USE_CASE": ""}, tmp_path) == {
        "RUN_ID": RUN, "USE_CASE": "churn", "RUN_ID_IN_FILES": "local:",
    }  # fmt: skip


def test_a_machines_own_file_overrides_the_tracked_ones_and_the_shell_overrides_it(root: Path) -> None:
    (root / ".env.local.machine").write_text("SCORER_PORT=1\nSCORER_WORKERS=3\nALERT_EMAIL_TO=ada@localhost\n")
    made = environment("local", {"SCORER_PORT": "2", "COMMIT": "c"}, root)
    assert (made["SCORER_PORT"], made["SCORER_WORKERS"], made["ALERT_EMAIL_TO"]) == ("2", "3", "ada@localhost")
    assert settings_of("cloud", {}, root)["SCORER_WORKERS"] == "1"
    copy = root / made["ENV_FILE"]  # Compose reads no other file after it
    assert not copy.with_name(f"{copy.name}.machine").exists()
    containers = read_file(copy)
    assert (containers["SCORER_PORT"], containers["SCORER_WORKERS"]) == ("2", "3")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert environment("local", {"COMMIT": "c"}, root)["ENV_FILE"] == ".env.local"  # and .env.local.machine after it


def test_containers_read_the_machines_own_file_after_the_tracked_one() -> None:
    common = yaml.safe_load((ROOT / "docker-compose-common.yml").read_text())["services"]
    assert common["product"]["env_file"] == [
        ".env", "${ENV_FILE:-.env.local}", {"path": "${ENV_FILE:-.env.local}.machine", "required": False},
    ]  # fmt: skip


def test_a_deployment_learns_what_the_files_ask_for_whatever_the_shell_says(root: Path) -> None:
    other = "f" * 32
    (root / ".env.local.machine").write_text(f"RUN_ID={RUN}\n")
    for made in (
        environment("local", {"RUN_ID": other, "COMMIT": "c"}, root),
        settings_of("local", {"RUN_ID": other}, root),
    ):
        assert (made["RUN_ID"], made["RUN_ID_IN_FILES"]) == (other, f"local:{RUN}")
    assert settings_of("cloud", {"RUN_ID_IN_FILES": "x:y"}, root)["RUN_ID_IN_FILES"] == "cloud:"


def test_a_table_of_this_machine_is_read_by_containers_from_the_bucket(root: Path) -> None:
    assert environment("local", {"DATA": "x.csv", "COMMIT": "c"}, root)["WORKER_DATA"] == (
        "s3://scorehouse/churn/training.csv"
    )
    assert environment("local", {"DATA": "s3://b/k", "COMMIT": "c"}, root)["WORKER_DATA"] == "s3://b/k"
    assert environment("local", {"COMMIT": "c"}, root)["WORKER_DATA"] == ""


def test_so_is_the_table_that_the_page_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = replace(load_use_case("churn"), table="people.csv")
    monkeypatch.setattr("stack.environment.load_use_case", lambda name: page)
    worker_data = environment("local", {"COMMIT": "c"}, root)["WORKER_DATA"]
    assert worker_data == "s3://scorehouse/churn/training.csv"
    assert environment("local", {"DATA": "s3://b/k", "COMMIT": "c"}, root)["WORKER_DATA"] == "s3://b/k"


def certificate(root: Path) -> Path:
    """Return a folder with the names of a certificate's files."""
    folder = root / "tls"
    folder.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("env", ["local", "cloud"])
def test_a_certificate_that_is_not_there_is_named(root: Path, env: str) -> None:
    shell = {"COMMIT": "c", "BUCKET_NAME": "ours-1", "GATEWAY_TLS": str(root / "nowhere")}
    with pytest.raises(StackError, match=r"GATEWAY_TLS=\S*nowhere has no fullchain\.pem and no privkey\.pem: name"):
        environment(env, shell, root)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("USE_CASE", "chrun", r"USE_CASE=chrun, but there is no use_cases/chrun\.py; there are churn, wine$"),
        (
            "COMPOSE_PROFILES",
            "emulator, grafna",
            "COMPOSE_PROFILES has grafna; the profiles are emulator, ",
        ),
    ],
)
def test_a_use_case_without_a_page_and_an_unknown_profile_are_named(
    root: Path, name: str, value: str, fault: str
) -> None:
    (root / "use_cases").mkdir()
    for page in ("__init__", "churn", "wine"):
        (root / "use_cases" / f"{page}.py").touch()
    with pytest.raises(StackError, match=fault):
        environment("local", {"COMMIT": "c", name: value}, root)
    assert environment("local", {"COMMIT": "c", "USE_CASE": "wine", "COMPOSE_PROFILES": "emulator,churn"}, root)


def test_the_profiles_are_those_of_the_compose_files() -> None:
    text = "".join(path.read_text() for path in ROOT.glob("docker-compose-*.yml"))
    assert set(re.findall(r"profiles: \[(\w+)\]", text)) == {*PROFILES, "insurance"}


def test_an_unknown_env_is_named(root: Path) -> None:
    with pytest.raises(StackError, match=r"there is no \.env\.moon"):
        environment("moon", {}, root)


def test_the_cloud_refuses_its_own_file_as_committed_until_a_bucket_is_named(root: Path) -> None:
    with pytest.raises(StackError, match="BUCKET_NAME"):
        environment("cloud", {"COMMIT": "c"}, root)
    shell = {"BUCKET_NAME": "ours-1", "GATEWAY_TLS": str(certificate(root)), "COMMIT": "c"}
    made = environment("cloud", shell, root)
    assert made["AWS_INSIDE"] == ""


@pytest.mark.parametrize("env", ["local", "cloud", "second"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BIND_ADDRESS", "0.0.0.0"),
        ("BIND_ADDRESS", "::"),
        ("BIND_ADDRESS", "8.8.8.8"),
        ("BIND_ADDRESS", "2606:4700::1"),
        ("BIND_ADDRESS", "my.host"),
        ("GATEWAY_BIND", "localhost"),
        ("GATEWAY_BIND", "0.0.0.0"),
    ],
)
def test_no_env_opens_a_public_address_by_itself(root: Path, env: str, name: str, value: str) -> None:
    (root / ".env.second").write_text((root / ".env.local").read_text())
    shell = {"COMMIT": "c", "BUCKET_NAME": "ours-1", "GATEWAY_BIND": "127.0.0.1", name: value}
    with pytest.raises(StackError, match=f"env={env} cannot start with these settings:\n  {name}=[^\n]*$"):
        environment(env, shell, root)


def test_a_setting_allows_public_addresses_but_no_names(root: Path) -> None:
    shell = {"COMMIT": "c", "ALLOW_PUBLIC_BIND": "true", "BIND_ADDRESS": "0.0.0.0", "GATEWAY_BIND": "0.0.0.0"}
    assert environment("local", shell, root)["BIND_ADDRESS"] == "0.0.0.0"
    with pytest.raises(StackError, match=r"my\.host is not an IP address"):
        environment("local", {**shell, "BIND_ADDRESS": "my.host"}, root)


def test_the_gateway_may_be_public_with_a_certificate(root: Path) -> None:
    shell = {"COMMIT": "c", "GATEWAY_BIND": "0.0.0.0", "GATEWAY_TLS": str(certificate(root))}
    made = environment("local", shell, root)
    assert made["GATEWAY_BIND"] == "0.0.0.0" and made["BIND_ADDRESS"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUCKET_NAME", "scorehouse"),
        ("BUCKET_NAME", ""),
        ("COMPOSE_PROFILES", "emulator,grafana"),
        ("SERVICE_SECRET", "short"),
        ("MONGODB_PASSWORD", ""),
        ("KINESIS_ADDRESS", "http://127.0.0.1:4566"),
        ("AWS_INSIDE", "http://localstack:4566"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("POSTGRES_PASSWORD", "postgres"),
        ("PREFECT_API_AUTH_STRING", ""),
    ],
)
def test_what_is_unsafe_in_the_cloud_is_named(name: str, value: str) -> None:
    assert find_unsafe(SAFE) == []
    faults = find_unsafe({**SAFE, name: value})
    assert len(faults) == 1 and faults[0].startswith(name)


def test_a_short_database_password_must_be_changed_in_the_database_too() -> None:
    (fault,) = find_unsafe({**SAFE, "POSTGRES_PASSWORD": "postgres"})
    assert "change it in PostgreSQL" in fault and "remove it" not in fault
    (fault,) = find_unsafe({**SAFE, "GRAFANA_ADMIN_PASSWORD": "admin"})
    assert "remove it from .secrets.env" in fault


def test_a_command_in_a_message_acts_on_the_stack_that_printed_it() -> None:
    assert make_command("start-serve", "local") == "`make start-serve`"
    assert make_command("reset_all", "cloud") == "`make reset_all env=cloud`"


def test_no_committed_file_holds_a_secret() -> None:
    for name in (".env", ".env.local", ".env.cloud"):
        assert not [n for n in read_file(ROOT / name) if "PASSWORD" in n or "AUTH_STRING" in n]


def test_files_that_differ_from_the_shared_one_are_short() -> None:
    for name in (".env.local", ".env.cloud"):
        assert len(read_file(ROOT / name)) <= 12
        assert "RUN_ID" in read_file(ROOT / name)
