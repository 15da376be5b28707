"""Reads config.json, which tunes a training. It is read at the start of each training, so no restart is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_orchestration.training.bounds import find_fault
from scorehouse.aws import aws_client
from scorehouse.errors import ConfigurationError
from scorehouse.scoring.nearest import KnownNames
from scorehouse.settings import Settings
from scorehouse.usecase import Choice, Estimator, Range, UseCase

FILE = "config.json"
DEFAULT_BUCKET = Settings.model_fields["bucket_name"].default
_NONE = {"404", "NoSuchKey", "NoSuchBucket"}
Count = Annotated[int, Field(ge=1, le=100_000)]


class Configuration(BaseModel):
    """The keys of config.json. A missing key leaves the value of the use case or of the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    retraining_cycle: Annotated[int, Field(ge=60)] | None = None  # seconds between two trainings
    training_rounds: Count | None = None  # trials of the search
    xgboost_rounds: Count | None = None  # most boosting rounds of a trial
    early_stopping_condition: Count | None = None  # rounds without a better score before boosting stops
    model_registry_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,120}$")] | None = None
    retrain_best: Annotated[int, Field(ge=1, le=50)] | None = None  # how many of the best trials
    split_seed: Annotated[int, Field(ge=0)] | None = None
    search_space: dict[str, dict[str, list[float | int | str]]] = {}  # family -> dimension -> [low, high] or options


@dataclass(frozen=True, slots=True)
class TunedRun:
    """A configuration, where it was found, and the use case and settings after tuning."""

    configuration: Configuration
    source: str
    use_case: UseCase
    settings: Settings

    def __str__(self) -> str:
        """Return in one line which configuration is used."""
        keys = self.configuration.model_dump(exclude_defaults=True)
        return f"{self.source}: {json.dumps(keys)}" if keys else self.source


def tune_run(use_case: UseCase, settings: Settings) -> TunedRun:
    """Return `use_case` and `settings` as config.json tunes them.

    The file is TRAINING_CONFIG or, if that is empty, config.json next to the table (DATA, or the page's own). If there
    is neither, it is <use case>/config.json in the bucket. Without a file everything stays as it is.

    Raises:
        ConfigurationError: the file cannot be read or has a bad key. The message names each bad key.
    """
    address = _choose_address(use_case, settings)
    content = _read(address, use_case, settings) if address else None
    if content is None:
        source = f"the use case's own configuration (no {address or FILE})"
        return TunedRun(Configuration(), source, use_case, settings)
    configuration = parse(content, address)
    changes = {"trials": configuration.training_rounds, "split_seed": configuration.split_seed}
    return TunedRun(
        configuration,
        address,
        tune_use_case(use_case, configuration, address),
        settings.model_copy(update={name: value for name, value in changes.items() if value is not None}),
    )


def parse(content: bytes, name: str) -> Configuration:
    """Return the configuration in `content`, a file called `name`. Raises ConfigurationError, naming every bad key."""
    try:
        value = json.loads(content, object_pairs_hook=_refuse_repeated_keys)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{name} is not a JSON object")
    try:
        return Configuration.model_validate(value)
    except ValidationError as error:
        known = KnownNames(Configuration.model_fields)
        faults = []
        for fault in error.errors():
            path = ".".join(str(part) for part in fault["loc"])
            if fault["type"] == "extra_forbidden":
                faults.append(f"{path}: unknown key{known.suggest(path)}")
            else:
                faults.append(f"{path}: {_expected(fault['msg'])}, got {fault['input']!r}")
        raise _refusal(name, faults) from error


def tune_use_case(use_case: UseCase, configuration: Configuration, name: str = FILE) -> UseCase:
    """Return `use_case` with its estimators changed as `configuration` says.

    Raises:
        ConfigurationError: it names a family or a dimension that is not searched, or bounds that cannot be used.
    """
    families = {e.family for e in use_case.estimators}
    rounds = {"rounds": configuration.xgboost_rounds, "patience": configuration.early_stopping_condition}
    limits = {key: value for key, value in rounds.items() if value is not None}
    faults = []
    if limits and "xgboost" not in families:
        faults.append(f"xgboost_rounds, early_stopping_condition: {use_case.name} does not train xgboost")
    for family, dimensions in configuration.search_space.items():
        estimators = [e for e in use_case.estimators if e.family == family]
        if not estimators:
            faults.append(f"search_space.{family}: {use_case.name} only searches {', '.join(sorted(families))}")
            continue
        known = {name: d for e in estimators for name, d in e.space.items()}
        for dimension, bounds in dimensions.items():
            if fault := find_fault(dimension, bounds, known):
                faults.append(f"search_space.{family}.{dimension}: {fault}")
    if faults:
        raise _refusal(name, faults)
    tuned = tuple(_tune(e, configuration.search_space.get(e.family, {}), limits) for e in use_case.estimators)
    return replace(use_case, estimators=tuned, retrain_best=configuration.retrain_best or use_case.retrain_best)


def _tune(estimator: Estimator, bounds_by_name: Mapping[str, list[Any]], limits: Mapping[str, int]) -> Estimator:
    space = dict(estimator.space)
    for name, bounds in bounds_by_name.items():
        dimension = space.get(name)
        if isinstance(dimension, Range):
            space[name] = replace(dimension, low=bounds[0], high=bounds[1])
        elif dimension is not None:
            space[name] = Choice(tuple(bounds))
    fixed = {**estimator.fixed, **limits} if estimator.family == "xgboost" else estimator.fixed
    return replace(estimator, space=space, fixed=fixed)


def _expected(message: str) -> str:
    """Pydantic's message in our words: `must be a valid integer`."""
    return message.replace("Input should be", "must be", 1).replace("Input should", "must", 1)


def _refusal(name: str, faults: list[str]) -> ConfigurationError:
    return ConfigurationError(f"{name} is invalid, so nothing was trained:\n  " + "\n  ".join(faults))


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"the key {name!r} appears twice")
        members[name] = value
    return members


def _choose_address(use_case: UseCase, settings: Settings) -> str:
    if settings.training_config:
        return settings.training_config
    if table := use_case.table_at(settings.data):
        folder, slash, _ = table.rpartition("/")
        return f"{folder}{slash}{FILE}"
    # On AWS itself, the bucket with the default name belongs to someone else.
    bucket = settings.s3_address or settings.bucket_name != DEFAULT_BUCKET
    return f"s3://{settings.bucket_name}/{use_case.name}/{FILE}" if bucket else ""


def _read(address: str, use_case: UseCase, settings: Settings) -> bytes | None:
    """Return the content of the file. Return None if there is none and no setting names it."""
    try:
        if not address.startswith("s3://"):
            return Path(address).expanduser().read_bytes()
        bucket, _, key = address.removeprefix("s3://").partition("/")
        body: bytes = aws_client("s3", settings.s3_address).get_object(Bucket=bucket, Key=key)["Body"].read()
    except (OSError, BotoCoreError, ClientError) as error:
        absent = isinstance(error, FileNotFoundError) or (
            isinstance(error, ClientError) and error.response["Error"]["Code"] in _NONE
        )
        is_optional = not settings.training_config and (absent or not use_case.table_at(settings.data))
        if is_optional:
            return None
        raise ConfigurationError(f"{address} cannot be read: {error}") from error
    return body
