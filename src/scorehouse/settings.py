"""Every setting, declared once in the part that it belongs to. `scorehouse.environment` reads and checks them."""

from __future__ import annotations

import re
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _address(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("it should be an address that starts with http:// or https://")
    return value.rstrip("/")


def _mongodb(value: str) -> str:
    if value and not value.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("it should be an address that starts with mongodb:// or mongodb+srv://")
    return value


def _run(value: str) -> str:
    if value and value != "production" and not re.fullmatch("[0-9a-f]{32}", value):
        raise ValueError("it should be a run ID of 32 hex digits, or 'production' to follow MLflow's alias production")
    return value


def verify_keys(value: str) -> tuple[bytes, ...]:
    """Return the public keys in VERIFY_KEY, 32 bytes each. Raises ValueError."""
    keys = tuple(b64decode(key.strip(), validate=True) for key in value.split(",") if key.strip())
    if any(len(key) != 32 for key in keys):
        raise ValueError("a key has 32 bytes")
    return keys


def _keys(value: str) -> str:
    try:
        verify_keys(value)
    except ValueError as error:
        raise ValueError("it should be one or more public keys of 44 characters, separated by commas") from error
    return value


def _like(pattern: str, wanted: str) -> AfterValidator:
    """A text that matches `pattern`; `wanted` says in words what that means."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"it should be {wanted}")
        return value

    return AfterValidator(check)


Address = Annotated[str, AfterValidator(_address)]
Port = Annotated[int, Field(ge=1, le=65535)]
StreamName = Annotated[str, _like("[a-zA-Z0-9_.-]{1,120}", "1 to 120 letters, digits, dots, hyphens or underscores")]


class Part(BaseModel):
    """A few settings that are used together, named as in the environment but in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Part)


class DataSettings(Part):
    """Where this machine keeps data."""

    data_folder: Path = Field(Path("var"), description="Journal, SQLite stores and cached bundles")

    @property
    def journal_folder(self) -> Path:
        """The folder of the prediction journal, shared by all doors of a machine."""
        return self.data_folder / "journal"


class ServingSettings(DataSettings):
    """What is served, and from where it is fetched."""

    run_id: Annotated[str, AfterValidator(_run)] = Field("", description="The run to serve: a run id, or production")
    use_case: Annotated[str, _like("[a-z][a-z0-9_]*", "the name of a module in use_cases/, such as churn")] = Field(
        "churn", description="The use case: a module in use_cases/"
    )
    mlflow_address: Address = Field(
        "", validate_default=False, description="MLflow; port 5051 of CLOUD_ADDRESS if empty"
    )
    verify_key: Annotated[str, AfterValidator(_keys)] = Field(
        "", description="The public key that verifies the signatures of models; several separated by commas"
    )
    unsigned_bundles: bool = Field(False, description="True: load unsigned models, where VERIFY_KEY is empty")

    mlflow_tracking_username: str = Field("scorehouse", description="MLflow's user, where it asks for one")
    mlflow_tracking_password: str = Field("", repr=False, description="That user's password; none if empty")

    @property
    def mlflow_login(self) -> tuple[str, str] | None:
        """The user and password for MLflow, or None."""
        if not self.mlflow_tracking_password:
            return None
        return self.mlflow_tracking_username, self.mlflow_tracking_password

    @property
    def bundle_folder(self) -> Path:
        """The folder of cached bundles."""
        return self.data_folder / "bundles"


class DeploySettings(Part):
    """Which doors a deployment waits for, and what the history says about it."""

    doors: str = Field(
        "", description="Doors that a deployment waits for: http://host:port, …; those of SERVE_ADDRESS if empty"
    )
    run_id_in_files: str = Field("", description="NAME:RUN_ID, the env's name and the RUN_ID of its files; set by make")
    changed_by: str = Field("", description="Who deploys, for the history; the current user if empty")
    why: str = Field("", description="Why a run is deployed, for the history")


class HostSettings(Part):
    """Where the other services run."""

    cloud_address: str = Field("127.0.0.1", description="Host of MLflow, Prefect and the AWS emulator")
    serve_address: str = Field("127.0.0.1", description="Host of the scorers, the monitor and the dashboards")


class AccessSettings(HostSettings):
    """Which requests our services answer."""

    service_secret: Annotated[str, _like("[!-~]*", "visible ASCII characters without spaces")] = Field(
        "", repr=False, description="The secret that each request to a service must carry; none if empty"
    )
    allowed_hosts: Annotated[str, _like("[A-Za-z0-9_., -]*", "names of hosts, separated by commas")] = Field(
        "", description="Host names, separated by commas, to which services without a secret answer"
    )

    @property
    def host_names(self) -> frozenset[str]:
        """The names of ALLOWED_HOSTS, SERVE_ADDRESS and CLOUD_ADDRESS, in lower case."""
        names = (*self.allowed_hosts.split(","), self.serve_address, self.cloud_address)
        return frozenset(name.strip().lower() for name in names if name.strip())


class ProcessSettings(Part):
    """What every process of the product needs."""

    bind_address: str = Field("127.0.0.1", description="The address on which services listen")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")


class StoreSettings(DataSettings):
    """Where predictions are stored."""

    mongodb_address: Annotated[str, AfterValidator(_mongodb)] = Field(
        "", repr=False, description="mongodb://… of the prediction store; SQLite in DATA_FOLDER if empty"
    )

    @property
    def store_path(self) -> Path:
        """The SQLite prediction store, where MONGODB_ADDRESS is empty."""
        return self.data_folder / "predictions.db"


class ShipperSettings(DataSettings):
    """How the shipper is watched, and how long predictions are kept."""

    shipper_metrics_port: Port = Field(9698, description="The shipper's port for metrics")
    keep_predictions_days: int = Field(0, ge=0, description="Days that predictions are kept; forever if 0")
    keep_waiting_days: int = Field(30, ge=1, description="Days that an outcome waits for its prediction")
    trust_clock: bool = Field(False, description="True: remove what is old although the clock seems to have jumped")


class AwsSettings(Part):
    """AWS, or its emulator."""

    kinesis_address: str = Field("", description="Kinesis endpoint; AWS's own if empty")
    s3_address: str = Field("", description="S3 endpoint; AWS's own if empty")
    aws_default_region: Annotated[str, _like("[a-z0-9-]+", "an AWS region, such as us-east-1")] = Field(
        "us-east-1", description="The AWS region of the streams"
    )
    bucket_name: Annotated[str, _like("[a-z0-9][a-z0-9.-]{2,62}", "an S3 bucket's name")] = Field(
        "scorehouse", description="The bucket for tables"
    )


class HttpSettings(DataSettings):
    """The HTTP scorer."""

    scorer_port: Port = Field(9696, description="The HTTP scorer's port")
    grpc_port: int = Field(0, ge=0, le=65535, description="The HTTP scorer's port for gRPC; 0: it answers none")
    scorer_workers: int = Field(1, ge=1, le=64, description="Worker processes of the HTTP scorer: one per core at most")
    scorer_threads: int = Field(4, ge=1, le=256, description="Threads of a worker for all but single records")
    max_body_bytes: int = Field(2**20, ge=1024, description="The largest request body, in bytes")
    max_records: int = Field(1000, ge=1, description="The longest list of records in one request")
    outcomes_per_second: int = Field(
        1000, ge=1, description="Outcomes that one key may send per second, after the first 100,000"
    )
    cors_origins: Annotated[
        str,
        _like(
            r"(https?://[a-z0-9.-]+(:\d+)?(, *)?)*",
            "origins such as https://shop.example.com, in lower case and without a path, separated by commas",
        ),
    ] = Field("", description="Origins of other sites whose pages may request predictions; none if empty")

    @property
    def origins(self) -> frozenset[str]:
        """The origins of CORS_ORIGINS."""
        return frozenset(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())


class StreamSettings(DataSettings):
    """The streams, and the process that scores them."""

    predictions_stream_name: StreamName = Field("predictions", description="The stream whose records are scored")
    results_stream_name: StreamName = Field("results", description="The stream of answers; errors go to <it>-errors")
    stream_metrics_port: Port = Field(9697, description="The stream scorer's port for metrics and health")
    stream_shards: int = Field(2, ge=1, le=500, description="Shards of each stream that `make init_aws` creates")

    @property
    def errors_stream_name(self) -> str:
        """The stream of dead letters: records that cannot be scored."""
        return f"{self.results_stream_name}-errors"

    @property
    def checkpoints_path(self) -> Path:
        """The file of the input stream's checkpoints; their lock is beside it."""
        return self.data_folder / "stream" / f"{self.predictions_stream_name}.db"

    @property
    def heartbeat_path(self) -> Path:
        """The file that the stream scorer touches while it is alive."""
        return self.data_folder / "stream" / f"{self.predictions_stream_name}.alive"


class LambdaSettings(Part):
    """The Lambda door."""

    packed_bundle: str = Field("", description="A bundle's folder inside the image; fetched from MLflow if empty")
    test_run: bool = Field(False, description="True: compute and return the answers, store and publish nothing")
    report_unscorable: bool = Field(False, description="True: report what is in <results>-errors as failed as well")


class MonitorSettings(DataSettings):
    """The drift monitor, and the run that scores in shadow."""

    shadow_run_id: Annotated[str, _like("([0-9a-f]{32})?", "a run ID of 32 hex digits")] = Field(
        "", description="A run that scores in shadow; none if empty"
    )
    shadow_share: float = Field(0.1, ge=0, le=1, description="The share of the records that it scores")
    monitor_port: Port = Field(8085, description="The drift monitor's port: its page and its metrics")
    compose_profiles: str = Field(
        "", description="Optional parts that run, separated by commas; with `grafana`, the page links to its dashboard"
    )
    drift_window_hours: float = Field(
        24, ge=0, le=744, description="Hours that a window of records covers at least before drift is judged"
    )

    @property
    def grafana_runs(self) -> bool:
        """Whether Grafana runs beside the monitor."""
        return "grafana" in self.compose_profiles.split(",")

    @property
    def monitor_folder(self) -> Path:
        """The folder of the monitor's cursor and windows."""
        return self.data_folder / "monitor"


class RetrainingSettings(Part):
    """When drift starts a training, and how Prefect is asked for it."""

    retrain_on_drift: bool = Field(False, description="True: drift of the serving run starts a training")
    retrain_cooldown_minutes: int = Field(1440, ge=1, description="Minutes in which drift starts at most one training")
    prefect_api_url: str = Field("", description="Prefect's API; port 4200 of CLOUD_ADDRESS if empty")
    prefect_api_auth_string: str = Field(
        "", repr=False, description="user:password of Prefect's API, where it asks for one"
    )


class TrainingSettings(Part):
    """What is trained on, how, and how often."""

    data: str = Field("", description="The raw table: a path, or s3://bucket/key; the page's own if empty")
    trials: int = Field(0, ge=0, description="Trials of a search; the use case's own number if 0")
    split_seed: int = Field(0, ge=0, description="Seed of the split into training, validation and test")
    train_on_outcomes: bool = Field(False, description="True: predictions whose outcome is known join the table")
    signing_key_file: str = Field(
        "", description="The private key that signs trained models, a PEM file; not signed if empty"
    )
    outcomes_max_share: float = Field(
        0.5, gt=0, le=1, description="The largest share of one sender in the outcomes that join the table"
    )
    promote_confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="The confidence with which a model must be better, for all uses of a test window",
    )
    auto_promote: bool = Field(False, description="True: a training promotes its model where the rule says so")
    training_config: str = Field(
        "", description="A config.json: path or s3://bucket/key; the one next to DATA if empty"
    )
    training_interval_minutes: int = Field(180, ge=1, description="Minutes between two trainings")
    keep_runs_days: int = Field(
        0, ge=0, description="Days that trainings whose model never served are kept; forever if 0"
    )


class BatchSettings(Part):
    """The nightly batch."""

    batch_folder: str = Field("", description="Folder or s3://… of in/ and out/; USE_CASE/batch of the bucket if empty")
    dask_scheduler_address: Annotated[str, _like("([a-z]+://.+)?", "an address such as tcp://host:8786")] = Field(
        "", description="A Dask cluster, tcp://host:8786"
    )


class ReportSettings(DataSettings):
    """Reports, and the pages that show them."""

    report_time_window_minutes: int = Field(180, ge=1, description="Minutes that a report covers, and between reports")
    report_retention_days: int = Field(30, ge=0, description="Days that reports are kept; forever if 0")
    report_most_records: int = Field(
        5000, ge=200, le=50_000, description="Maximum number of records per run in a report (newest first)"
    )
    report_folder: str = Field("", description="The folder of report pages; reports/ in DATA_FOLDER if empty")
    report_port: Port = Field(8888, description="The port of the report pages, where no Nginx serves them")

    @property
    def reports_folder(self) -> Path:
        """The folder of report pages."""
        return Path(self.report_folder) if self.report_folder else self.data_folder / "reports"


class WebServiceSettings(DataSettings):
    """The web pages of insurance."""

    web_service_port: Port = Field(8080, description="The port of insurance's web pages")
    web_service_rate: int = Field(120, ge=1, description="Forms a minute that one client address may send")
    web_service_proxies: int = Field(
        0, ge=0, le=9, description="Proxies in front of the pages whose headers are trusted"
    )
    keep_offers_days: int = Field(7, ge=1, le=365, description="Days that an offer can be viewed before it is deleted")

    @property
    def web_service_folder(self) -> Path:
        """The folder of the web pages' key and, where MONGODB_ADDRESS is empty, of their store."""
        return self.data_folder / "web_service"


class Settings(
    WebServiceSettings,
    ReportSettings,
    BatchSettings,
    TrainingSettings,
    RetrainingSettings,
    MonitorSettings,
    LambdaSettings,
    StreamSettings,
    HttpSettings,
    AwsSettings,
    ShipperSettings,
    StoreSettings,
    ProcessSettings,
    AccessSettings,
    DeploySettings,
    ServingSettings,
):
    """All settings, as a composition root reads them. It hands a part to whatever needs no more than that."""

    @model_validator(mode="before")
    @classmethod
    def _follow_hosts(cls, values: dict[str, Any]) -> dict[str, Any]:
        host = values.get("cloud_address", "127.0.0.1")
        defaults = {"mlflow_address": f"http://{host}:5051", "prefect_api_url": f"http://{host}:4200/api"}
        return {**defaults, **values}

    def _part(self, kind: type[P]) -> P:
        return kind.model_construct(**{name: getattr(self, name) for name in kind.model_fields})

    @property
    def serving(self) -> ServingSettings:
        return self._part(ServingSettings)

    @property
    def store(self) -> StoreSettings:
        return self._part(StoreSettings)

    @property
    def http(self) -> HttpSettings:
        return self._part(HttpSettings)

    @property
    def stream(self) -> StreamSettings:
        return self._part(StreamSettings)

    @property
    def retraining(self) -> RetrainingSettings:
        return self._part(RetrainingSettings)

    @property
    def web_service(self) -> WebServiceSettings:
        return self._part(WebServiceSettings)
