"""Settings: read once, checked at start, and a bad one is named with what it should be."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from scorehouse.environment import read_settings, settings_or_exit
from scorehouse.errors import SettingError
from scorehouse.settings import HttpSettings, Settings

RUN = "0123456789abcdef" * 2


def test_nothing_set_is_the_local_stack() -> None:
    settings = read_settings({})
    assert (settings.scorer_port, settings.run_id, settings.use_case) == (9696, "", "churn")
    assert settings.mlflow_address == "http://127.0.0.1:5051"


def test_an_empty_variable_counts_as_unset() -> None:
    assert read_settings({"SCORER_PORT": "", "MLFLOW_ADDRESS": ""}) == read_settings({})


def test_mlflow_is_looked_for_on_the_cloud_host_unless_it_has_its_own_address() -> None:
    assert read_settings({"CLOUD_ADDRESS": "cloud"}).mlflow_address == "http://cloud:5051"
    given = {"CLOUD_ADDRESS": "cloud", "MLFLOW_ADDRESS": "https://mlflow.example/"}
    assert read_settings(given).mlflow_address == "https://mlflow.example"


def test_origins_are_a_set_whatever_stands_between_them() -> None:
    given = read_settings({"CORS_ORIGINS": "https://shop.example.com, http://localhost:3000"})
    assert given.http.origins == {"https://shop.example.com", "http://localhost:3000"}
    assert read_settings({}).http.origins == set()


def test_other_programs_variables_are_left_alone() -> None:
    assert read_settings({"PATH": "/bin", "SCORER_PRT": "1"}) == read_settings({})


@pytest.mark.parametrize("run_id", ["", "production", RUN])
def test_a_run_id_may_be_empty_or_an_alias_or_32_hex_digits(run_id: str) -> None:
    assert read_settings({"RUN_ID": run_id}).run_id == run_id


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RUN_ID", "staging", "32 hex digits"),
        ("RESULTS_STREAM_NAME", "my results", "1 to 120 letters, digits, dots, hyphens or underscores"),
        ("AWS_DEFAULT_REGION", "Frankfurt", "an AWS region, such as us-east-1"),
        ("SHADOW_RUN_ID", "newest", "a run ID of 32 hex digits"),
        ("DASK_SCHEDULER_ADDRESS", "scheduler:8786", "an address such as tcp://host:8786"),
        ("RUN_ID", RUN.upper(), "32 hex digits"),
        ("SCORER_PORT", "abc", "it should be a valid integer"),
        ("SCORER_PORT", "70000", "65535"),
        ("MLFLOW_ADDRESS", "localhost:5051", "http://"),
        ("USE_CASE", "../secrets", "it should be the name of a module in use_cases/"),
        ("LOG_LEVEL", "chatty", "DEBUG"),
        ("CORS_ORIGINS", "*", "it should be origins such as https://shop.example.com"),
        ("CORS_ORIGINS", "https://shop.example.com/", "without a path"),
        ("CORS_ORIGINS", "shop.example.com", "it should be origins such as https://shop.example.com"),
        ("MAX_RECORDS", "0", "greater than or equal to 1"),
        ("TRAINING_INTERVAL_MINUTES", "-5", "greater than or equal to 1"),
    ],
)
def test_a_bad_setting_is_named_with_what_it_should_be(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({name: value})
    assert f"{name}={value!r}" in str(refused.value) and said in str(refused.value)


def test_a_bad_address_of_the_store_is_named_without_its_value_which_may_hold_a_password() -> None:
    with pytest.raises(
        SettingError, match="MONGODB_ADDRESS: it should be an address that starts with mongodb://"
    ) as told:
        read_settings({"MONGODB_ADDRESS": "mongo://me:secret@host"})
    assert "secret" not in str(told.value)


def test_all_bad_settings_are_named_at_once() -> None:
    with pytest.raises(SettingError, match=r"LOG_LEVEL.*SCORER_PORT"):
        read_settings({"SCORER_PORT": "x", "LOG_LEVEL": "y"})


def test_a_bad_setting_ends_the_process_with_status_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_or_exit({"SCORER_PORT": "x"})
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("settings: SCORER_PORT='x'") and said.count("\n") == 1


def test_a_part_holds_its_own_settings_and_no_others() -> None:
    settings = read_settings({"SCORER_PORT": "9700", "DATA_FOLDER": "/data", "PREFECT_API_AUTH_STRING": "me:secret"})
    assert settings.http == HttpSettings(scorer_port=9700, data_folder=Path("/data"))
    assert type(settings.http) is HttpSettings
    assert settings.prefect_api_auth_string == "me:secret"
    assert not hasattr(settings.http, "prefect_api_auth_string")
    assert settings.serving.bundle_folder == Path("/data/bundles")


def test_no_secret_is_in_what_a_log_may_show_of_the_settings() -> None:
    names = ("PREFECT_API_AUTH_STRING", "SERVICE_SECRET", "MLFLOW_TRACKING_PASSWORD")
    values = {**dict.fromkeys(names, "hidden"), "MONGODB_ADDRESS": "mongodb://me:hidden@host"}
    settings = read_settings(values)
    assert "hidden" not in repr(settings) and settings.mlflow_login == ("scorehouse", "hidden")
    assert read_settings({}).mlflow_login is None


def test_parts_see_what_the_hosts_imply() -> None:
    settings = read_settings({"CLOUD_ADDRESS": "cloud"})
    assert settings.serving.mlflow_address == "http://cloud:5051"
    assert settings.retraining.prefect_api_url == "http://cloud:4200/api"


def test_settings_cannot_be_changed_and_know_no_other_names() -> None:
    with pytest.raises(ValidationError):
        read_settings({}).scorer_port = 1
    with pytest.raises(ValidationError):
        Settings.model_validate({"scorer_prt": 1})


def test_every_setting_says_what_it_is_for() -> None:
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []
