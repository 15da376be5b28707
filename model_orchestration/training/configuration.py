"""Re-tunes a training without a restart: config.json, read afresh at its start and checked key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model_orchestration.training.bounds import fault_of
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
    """The keys that config.json may have; what is absent stays as the use case, or the environment, has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    retraining_cycle: Annotated[int, Field(ge=60)] | None = None  # seconds between two trainings
    training_rounds: Count | None = None  # trials of the search
    xgboost_rounds: Count | None = None  # boosting rounds of a trial, at most
    early_stopping_condition: Count | None = None  # rounds without a better score before it stops
    model_registry_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,120}$")] | None = None
    retrain_best: Annotated[int, Field(ge=1, le=50)] | None = None  # of the trials
    split_seed: Annotated[int, Field(ge=0)] | None = None
    search_space: dict[str, dict[str, list[float | int | str]]] = {}  # family -> dimension -> [low, high] or options


@dataclass(frozen=True, slots=True)
class TunedRun:
    """A configuration, where it was found, and the use case and settings that it makes of the given ones."""

    configuration: Configuration
    source: str
    use_case: UseCase
    settings: Settings

    def __str__(self) -> str:
        """Say which configuration is used, in one line."""
        given = self.configuration.model_dump(exclude_defaults=True)
        return f"{self.source}: {json.dumps(given)}" if given else self.source


def tuned(use_case: UseCase, settings: Settings) -> TunedRun:
    """Return `use_case` and `settings` as config.json tunes them: TRAINING_CONFIG, or the one beside DATA.

    Where neither is set it is the bucket's <use case>/config.json. Without a file everything stays as it is.

    Raises:
        ConfigurationError: it cannot be read, or says what it may not; names each key.
    """
    address = _address(use_case, settings)
    content = _content(address, settings) if address else None
    if content is None:
        nothing = f"the use case's own configuration ({f'no {address}' if address else f'no {FILE}'})"
        return TunedRun(Configuration(), nothing, use_case, settings)
    configuration = parse(content, address)
    changes = {"trials": configuration.training_rounds, "split_seed": configuration.split_seed}
    return TunedRun(
        configuration,
        address,
        tune(use_case, configuration, address),
        settings.model_copy(update={name: value for name, value in changes.items() if value is not None}),
    )


def parse(content: bytes, name: str) -> Configuration:
    """Return the configuration that `content` holds. Raises ConfigurationError, which names every bad key."""
    try:
        value = json.loads(content, object_pairs_hook=_once)
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
                faults.append(f"{path}: no such key, the nearest is {known.nearest(path)!r}")
            else:
                faults.append(f"{path}: {fault['msg'].lower()}, not {fault['input']!r}")
        raise _refused(name, faults) from error


def tune(use_case: UseCase, configuration: Configuration, name: str = FILE) -> UseCase:
    """Return `use_case` with the estimators that `configuration` asks for.

    Raises:
        ConfigurationError: it names families or dimensions that are not searched, or bounds that cannot be.
    """
    families = {e.family for e in use_case.estimators}
    asked = {"rounds": configuration.xgboost_rounds, "patience": configuration.early_stopping_condition}
    limits = {key: value for key, value in asked.items() if value is not None}
    faults = []
    if limits and "xgboost" not in families:
        faults.append(f"xgboost_rounds, early_stopping_condition: {use_case.name} trains no xgboost")
    for family, dimensions in configuration.search_space.items():
        mine = [e for e in use_case.estimators if e.family == family]
        if not mine:
            faults.append(f"search_space.{family}: {use_case.name} searches {', '.join(sorted(families))}")
            continue
        known = {name: d for e in mine for name, d in e.space.items()}
        for dimension, bounds in dimensions.items():
            if fault := fault_of(dimension, bounds, known):
                faults.append(f"search_space.{family}.{dimension}: {fault}")
    if faults:
        raise _refused(name, faults)
    made = tuple(_estimator(e, configuration.search_space.get(e.family, {}), limits) for e in use_case.estimators)
    return replace(use_case, estimators=made, retrain_best=configuration.retrain_best or use_case.retrain_best)


def _estimator(estimator: Estimator, asked: Mapping[str, list[Any]], limits: Mapping[str, int]) -> Estimator:
    space = dict(estimator.space)
    for name, bounds in asked.items():
        dimension = space.get(name)
        if isinstance(dimension, Range):
            space[name] = replace(dimension, low=bounds[0], high=bounds[1])
        elif dimension is not None:
            space[name] = Choice(tuple(bounds))
    fixed = {**estimator.fixed, **limits} if estimator.family == "xgboost" else estimator.fixed
    return replace(estimator, space=space, fixed=fixed)


def _refused(name: str, faults: list[str]) -> ConfigurationError:
    return ConfigurationError(f"{name} is refused, nothing was trained:\n  " + "\n  ".join(faults))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands twice")
    return members


def _address(use_case: UseCase, settings: Settings) -> str:
    if settings.training_config:
        return settings.training_config
    if settings.data:
        folder, slash, _ = settings.data.rpartition("/")
        return f"{folder}{slash}{FILE}"
    # on AWS itself the bucket of the default name is somebody else's
    bucket = settings.s3_address or settings.bucket_name != DEFAULT_BUCKET
    return f"s3://{settings.bucket_name}/{use_case.name}/{FILE}" if bucket else ""


def _content(address: str, settings: Settings) -> bytes | None:
    """The file's content; None where there is none and nobody named it."""
    try:
        if not address.startswith("s3://"):
            return Path(address).expanduser().read_bytes()
        bucket, _, key = address.removeprefix("s3://").partition("/")
        body: bytes = aws_client("s3", settings.s3_address).get_object(Bucket=bucket, Key=key)["Body"].read()
    except (OSError, BotoCoreError, ClientError) as error:
        absent = isinstance(error, FileNotFoundError) or (
            isinstance(error, ClientError) and error.response["Error"]["Code"] in _NONE
        )
        nobody_asked = not settings.training_config and (absent or not settings.data)
        if nobody_asked:
            return None
        raise ConfigurationError(f"{address} cannot be read: {error}") from error
    return body
