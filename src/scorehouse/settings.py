"""Every setting: declared once, documented by its declaration, read from the environment, checked at start."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from scorehouse.errors import SettingError


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("an address starts with http:// or https://")
    return value.rstrip("/")


def _mongodb(value: str) -> str:
    if value and not value.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("a MongoDB address starts with mongodb:// or mongodb+srv://")
    return value


def _run(value: str) -> str:
    if value and value != "production" and not (len(value) == 32 and set(value) <= set("0123456789abcdef")):
        raise ValueError("a run id has 32 hex digits; or say 'production' to follow the promotion rule")
    return value


Address = Annotated[str, AfterValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
StreamName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,120}$")]


class Settings(BaseModel):
    """The settings, named as in the environment but in lower case; `.env.local` shows each with its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # What is served
    run_id: Annotated[str, AfterValidator(_run)] = Field("", description="The run to serve: a run id, or production")
    use_case: str = Field("churn", pattern=r"^[a-z][a-z0-9_]*$", description="The page of use_cases/ that is run")

    doors: str = Field(
        "", description="Doors that a deployment waits for: http://host:port, …; those of SERVE_ADDRESS if empty"
    )
    changed_by: str = Field("", description="Who deploys, for the history; the user of this machine if empty")
    why: str = Field("", description="Why a run is deployed, for the history")

    # Where the others are
    cloud_address: str = Field("127.0.0.1", description="Host of MLflow, Prefect and the AWS emulator")
    serve_address: str = Field("127.0.0.1", description="Host of the scorers, the monitor and the dashboards")
    mlflow_address: Address = Field(
        "", validate_default=False, description="MLflow; port 5051 of CLOUD_ADDRESS if empty"
    )
    mongodb_address: Annotated[str, AfterValidator(_mongodb)] = Field(
        "", description="mongodb://… of the prediction store; SQLite in DATA_FOLDER if empty"
    )
    kinesis_address: str = Field("", description="Kinesis endpoint; AWS's own if empty")
    s3_address: str = Field("", description="S3 endpoint; AWS's own if empty")

    # The HTTP scorer
    bind_address: str = Field("127.0.0.1", description="The address on which services listen")
    scorer_port: Port = Field(9696, description="The HTTP scorer's port")
    scorer_workers: int = Field(1, ge=1, le=64, description="Worker processes of the HTTP scorer: one per core at most")
    scorer_threads: int = Field(4, ge=1, le=256, description="Threads of a worker for bodies over 16 KB")
    max_body_bytes: int = Field(2**20, ge=1024, description="The largest request body, in bytes")
    max_records: int = Field(1000, ge=1, description="The longest list of records in one request")

    # The stream scorer
    predictions_stream_name: StreamName = Field("predictions", description="The stream whose records are scored")
    results_stream_name: StreamName = Field("results", description="The stream of answers; errors go to <it>-errors")
    stream_metrics_port: Port = Field(9697, description="The stream scorer's port for metrics and health")
    aws_default_region: str = Field("us-east-1", pattern="^[a-z0-9-]+$", description="The AWS region of the streams")

    stream_shards: int = Field(2, ge=1, le=500, description="Shards of each stream that `make init_aws` creates")

    # The Lambda door
    packed_bundle: str = Field("", description="A bundle's folder inside the image; asked of MLflow if empty")
    test_run: bool = Field(False, description="True: compute and return the answers, store and publish nothing")
    report_unscorable: bool = Field(False, description="True: report what is in <results>-errors as failed as well")

    # The monitor and the shipper
    shadow_run_id: str = Field(
        "", pattern="^([0-9a-f]{32})?$", description="A run that scores in shadow; none if empty"
    )
    shadow_share: float = Field(0.1, ge=0, le=1, description="The share of the records that it scores")
    retrain_on_drift: bool = Field(False, description="True: drift of the run that serves starts a training")
    retrain_cooldown_minutes: int = Field(1440, ge=1, description="Minutes in which drift starts one training at most")
    prefect_api_url: str = Field("", description="Prefect's API; port 4200 of CLOUD_ADDRESS if empty")
    prefect_api_auth_string: str = Field("", description="user:password of Prefect's API, where it asks for one")
    monitor_port: Port = Field(8085, description="The drift monitor's port: its page and its metrics")
    shipper_metrics_port: Port = Field(9698, description="The shipper's port for metrics")

    # Training
    bucket_name: str = Field("scorehouse", pattern=r"^[a-z0-9][a-z0-9.-]{2,62}$", description="The bucket of tables")
    data: str = Field("", description="The raw table: a path, or s3://bucket/key; generated if empty")
    trials: int = Field(0, ge=0, description="Trials of a search; the use case's own number if 0")
    split_seed: int = Field(0, ge=0, description="Seed of the split into training, validation and test")
    train_on_outcomes: bool = Field(False, description="True: predictions whose outcome is known join the table")
    auto_promote: bool = Field(False, description="True: a training promotes its model where the rule says so")
    training_config: str = Field("", description="A config.json: path or s3://bucket/key; the one beside DATA if empty")
    training_interval_minutes: int = Field(180, ge=1, description="Minutes between two trainings")

    # The nightly batch
    batch_folder: str = Field("", description="Folder or s3://… of in/ and out/; USE_CASE/batch of the bucket if empty")
    dask_scheduler_address: str = Field("", pattern="^([a-z]+://.+)?$", description="A Dask cluster, tcp://host:8786")

    # Reports
    report_time_window_minutes: int = Field(180, ge=1, description="Minutes that a report covers, and between two")
    report_retention_days: int = Field(30, ge=0, description="Days that reports are kept; for ever if 0")
    report_most_records: int = Field(5000, ge=200, le=50_000, description="Records of a run, its newest, in a report")
    report_folder: str = Field("", description="The folder of report pages; reports/ in DATA_FOLDER if empty")
    report_port: Port = Field(8888, description="The port of the report pages, where no Nginx serves them")

    # The web pages of insurance
    web_service_port: Port = Field(8080, description="The port of insurance's web pages")
    web_service_rate: int = Field(120, ge=1, description="Forms a minute that one client address may send")
    web_service_proxies: int = Field(0, ge=0, le=9, description="Proxies before the pages whose headers are believed")
    keep_offers_days: int = Field(7, ge=1, le=365, description="Days that an offer can be looked at, then it is gone")

    # What is kept, and where
    data_folder: Path = Field(Path("var"), description="Journal, SQLite stores and cached bundles")
    keep_predictions_days: int = Field(0, ge=0, description="Days that predictions are kept; for ever if 0")
    keep_runs_days: int = Field(0, ge=0, description="Days that trainings are kept that never served; for ever if 0")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR")

    @model_validator(mode="before")
    @classmethod
    def _follow_hosts(cls, given: dict[str, Any]) -> dict[str, Any]:
        host = given.get("cloud_address", "127.0.0.1")
        here = {"mlflow_address": f"http://{host}:5051", "prefect_api_url": f"http://{host}:4200/api"}
        return {**here, **given}

    @property
    def journal_folder(self) -> Path:
        """The folder of the prediction journal, shared by all doors of a machine."""
        return self.data_folder / "journal"

    @property
    def bundle_folder(self) -> Path:
        """The folder of cached bundles."""
        return self.data_folder / "bundles"

    @property
    def errors_stream_name(self) -> str:
        """The stream of records that cannot be scored."""
        return f"{self.results_stream_name}-errors"

    @property
    def stream_folder(self) -> Path:
        """The folder of checkpoints, their locks and heartbeats, each named after its stream."""
        return self.data_folder / "stream"

    @property
    def monitor_folder(self) -> Path:
        """The folder of the monitor's cursor and windows."""
        return self.data_folder / "monitor"

    @property
    def reports_folder(self) -> Path:
        """The folder of report pages."""
        return Path(self.report_folder) if self.report_folder else self.data_folder / "reports"

    @property
    def web_service_folder(self) -> Path:
        """The folder of the web pages' key and, where MONGODB_ADDRESS is empty, of their store."""
        return self.data_folder / "web_service"

    @property
    def store_path(self) -> Path:
        """The SQLite prediction store, where MONGODB_ADDRESS is empty."""
        return self.data_folder / "predictions.db"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings of `environ`; an empty variable counts as unset, unknown ones are other people's.

    Raises:
        SettingError: names each bad variable and says what it should be.
    """
    given = {name: environ[name.upper()] for name in Settings.model_fields if environ.get(name.upper())}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        faults = [f"{str(e['loc'][0]).upper()}={e['input']!r}: {e['msg']}" for e in error.errors()]
        raise SettingError("; ".join(faults)) from error


def settings_or_exit(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings, or end the process with status 2 and one line per bad setting."""
    try:
        return read_settings(environ)
    except SettingError as error:
        sys.stderr.write(f"settings: {error}\n")
        raise SystemExit(2) from error
