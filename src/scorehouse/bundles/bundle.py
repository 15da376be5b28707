"""Bundles, which contain everything that doors and monitors need of a run: written, verified and loaded only here."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from scorehouse.bundles.reference import Reference
from scorehouse.bundles.signatures import Statement
from scorehouse.errors import BundleError, CacheUnavailable
from scorehouse.scoring.derivation import derivation
from scorehouse.scoring.encoding import Encoder
from scorehouse.scoring.onnx_model import OnnxModel, Output
from scorehouse.scoring.schema import RecordSchema
from scorehouse.scoring.scorer import Scorer
from scorehouse.usecase import Feature, UseCase, as_it_is

MANIFEST, ONNX, REFERENCE = "bundle.json", "model.onnx", "reference.json.gz"
# The newest format; all before it are read. A field that a door may ignore does not change it: doors skip fields that
# they do not know. 1: labels of a feature as an object. 2: as pairs of category and label. 3: a feature is boolean.
# 4: a feature is a datetime, or has parts. 5: several classes. 6: a feature's levels are learnt.
# A bundle is written in the oldest format that has what it needs, which older doors read: at least 2.
FORMAT = 6
SMOKE_ROWS = 16  # reference rows that a door scores before it serves a bundle
PROBE = "2024-12-30T01:45:30+02:00"  # in UTC the day before, a Sunday; in a leap year
TOLERANCE = 1e-5  # float32 differs that much between machines (see `rounding`)


class Manifest(BaseModel):
    """The description of a bundle, `bundle.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    format: int = 1  # `write` sets the format that it writes
    run_id: str
    use_case: str
    use_case_version: int
    title: str
    about: str
    source: str
    task: Literal["binary", "amount", "ordinal", "multiclass"]
    answer: str
    answer_unit: str = ""
    classes: list[str | int] = []  # in the order of the model's chances; empty for other tasks
    created_at: datetime
    commit: str
    family: str
    parameters: dict[str, Any]
    features: list[dict[str, Any]]
    columns: list[dict[str, Any]]
    output: Output
    quality: dict[str, float]
    confusion: list[list[int]] = []  # of several classes: test rows by true (outer) and predicted class
    rows: dict[str, int]  # of each side of the split
    split: str = ""  # what decided the sides
    test_uses: int = 0  # how often test rows had judged models when this one was trained
    data: str  # where the table came from
    data_hash: str
    libraries: dict[str, str]
    parts: dict[str, int] = {}  # what the parts of dates are for PROBE; `write` sets it
    files: dict[str, str] = {}  # name -> sha256, written last


class _Origin(BaseModel):
    """What every format says: which format it is (none before 2), and the commit of the code that wrote it."""

    format: int = 1
    commit: str = "of an unknown commit"


class Bundle:
    """A verified bundle in a folder."""

    def __init__(self, folder: Path, manifest: Manifest, digest: str):
        """Use `load` instead, which verifies first."""
        self.folder = folder
        self.manifest = manifest
        self.digest = digest
        self.features = tuple(_feature(f) for f in manifest.features)
        self.encoder = Encoder.from_json(manifest.columns)

    @cached_property
    def reference(self) -> Reference:
        """The reference rows, read on first use. Raises CacheUnavailable."""
        return Reference.from_bytes(self._read(REFERENCE))

    def scorer(self, use_case: UseCase) -> Scorer:
        """Return the scorer of this bundle, once it has given the recorded predictions for a few reference rows.

        Raises:
            BundleError: it is for another use case or version than the code's, or its predictions have changed.
            CacheUnavailable: the folder is gone or cannot be read; try again later.
        """
        self.check_version(use_case)
        self._check_parts()
        model = self._read(ONNX)
        try:
            predict = OnnxModel(model, self.manifest.output)
            derive = derivation(self.features, use_case.derive)
            scorer = Scorer(RecordSchema(self.features), derive, self.encoder, predict, predict.one)
            smoke = self.reference.smoke
            rows = self.reference.rows[: len(smoke)]
            expected = np.concatenate([smoke, smoke[:1]])
            alone = [predict.one(array("f", row)) for row in rows[:1]]  # a single record is scored another way
            differs = np.abs(np.concatenate([scorer.score_rows(rows), alone]) - expected)
        except CacheUnavailable:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise BundleError(f"run {self.manifest.run_id}: its model cannot be run: {error}") from error
        if not (differs <= rounding(TOLERANCE, expected)).all():  # not >, so that NaN fails
            raise BundleError(
                f"run {self.manifest.run_id}: the model's predictions differ from the recorded ones "
                f"by up to {differs.max():.3g}: retrain with the library versions installed here"
            )
        return scorer

    def _check_parts(self) -> None:
        """Raise BundleError if this code takes a date apart in another way than the code that trained the model."""
        found = parts_of_probe(self.features)
        if found != self.manifest.parts:
            recorded = self.manifest.parts
            differ = next(name for name in {**recorded, **found} if recorded.get(name) != found.get(name))
            raise BundleError(
                f"run {self.manifest.run_id}: {differ} of {PROBE} is {found.get(differ)} here, but was "
                f"{recorded.get(differ)} in training: retrain, or check out commit {self.manifest.commit}"
            )

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:  # another door of this machine deleted it to make room
            raise CacheUnavailable(f"run {self.manifest.run_id}: {name} cannot be read: {error.strerror}") from error

    def require_agreement(self, statement: Statement | None) -> None:
        """Raise BundleError if the signed `statement` is about another bundle. An unsigned bundle has no statement."""
        made = self.manifest
        if statement and statement != Statement(made.use_case, made.use_case_version, made.run_id, self.digest):
            raise BundleError(f"run {made.run_id} has the signature of another bundle: deploy another run or retrain")

    def check_version(self, use_case: UseCase) -> None:
        """Raise BundleError if the run was trained for another use case or version than `use_case`."""
        manifest = self.manifest
        if manifest.use_case != use_case.name:
            raise BundleError(f"run {manifest.run_id} is a model for {manifest.use_case}, not for {use_case.name}")
        if manifest.use_case_version != use_case.version:
            raise BundleError(
                f"run {manifest.run_id} is for version {manifest.use_case_version} of {manifest.use_case}, but this "
                f"code is version {use_case.version}: retrain, or check out commit {manifest.commit}"
            )
        known = list(use_case.classes[: len(manifest.classes)])
        if manifest.classes != known:  # outcomes are stored by place
            raise BundleError(
                f"run {manifest.run_id} knows the classes {', '.join(map(str, manifest.classes))}, but those of this "
                f"code's page begin with {', '.join(map(str, known))}: put new classes at the end, or give the "
                "use case another name, because outcomes are stored as places in this list"
            )


def rounding(share: float, predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far float32 may differ from each prediction: by `share` of it, or of a usual one, or of 1.

    An amount near 0 is the sum of leaves that are not: it is rounded as they are.
    """
    usual = float(np.sqrt(np.mean(np.square(predictions))))
    return share * np.maximum(np.abs(predictions), max(1.0, usual))


def write(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write `files` and the manifest into `folder`; return the bundle's digest (the manifest's sha256)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    features = [_feature(f) for f in manifest.features]
    written = {"format": _format_of(features, manifest), "parts": parts_of_probe(features), "files": listed}
    optional = {"parts": written["parts"], "classes": manifest.classes, "confusion": manifest.confusion}
    left_out = {name for name, value in optional.items() if not value}
    description = manifest.model_copy(update=written).model_dump_json(indent=1, exclude=left_out).encode()
    (folder / MANIFEST).write_bytes(description)
    return digest_of(description)


def _format_of(features: Iterable[Feature], manifest: Manifest) -> int:
    features = list(features)
    if any(f.is_learnt for f in features):
        return 6
    if manifest.classes:
        return 5
    if any(f.kind == "datetime" or f.parts for f in features):
        return 4
    return 3 if any(f.kind == "boolean" for f in features) else 2


def parts_of_probe(features: Iterable[Feature]) -> dict[str, int]:
    """Return the parts of PROBE, by column: the smoke test of what takes dates apart."""
    dated = [f for f in features if f.parts]
    record = {f.name: PROBE if f.kind == "datetime" else PROBE[:10] for f in dated}
    parts: dict[str, Any] = {k: v for k, v in derivation(dated, as_it_is)(record).items() if k not in record}
    return parts


def load(folder: Path, digest: str | None = None, called: str = "this bundle") -> Bundle:
    """Return the bundle in `folder`, after checking that no file was changed. `called` names it in messages.

    Raises:
        BundleError: a file is missing or damaged, the manifest's digest is not `digest`, or its format is newer.
        CacheUnavailable: the folder cannot be read; try again later.
    """
    try:
        description = (folder / MANIFEST).read_bytes()
        manifest = read_manifest(description, digest, called)
        contents = {name: (folder / name).read_bytes() for name in {*manifest.files, ONNX, REFERENCE}}
    except FileNotFoundError as error:
        raise BundleError(
            f"the bundle in {folder.name} has no {Path(error.filename).name}: deploy another run or retrain"
        ) from error
    except OSError as error:
        raise CacheUnavailable(f"the bundle in {folder.name} cannot be read: {error.strerror}") from error
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
            raise BundleError(
                f"run {manifest.run_id}: {name} is damaged (sha256 mismatch): deploy another run or retrain"
            )
    try:
        return Bundle(folder, manifest, digest_of(description))
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise BundleError(
            f"run {manifest.run_id} was built by an incompatible version of the code (commit {manifest.commit}): "
            f"check out that commit or retrain ({error})"
        ) from error


def digest_of(description: bytes) -> str:
    """Return the digest of the bundle with this `bundle.json`, which lists the digests of all other files."""
    return hashlib.sha256(description).hexdigest()


def read_manifest(description: bytes, digest: str | None = None, called: str = "this bundle") -> Manifest:
    """Return the manifest that `bundle.json` holds. With `digest`, nothing of it is parsed unless the digest matches.

    Raises:
        BundleError: the digest differs, the manifest is damaged, or its format is newer than this code.
    """
    if digest is not None and digest_of(description) != digest:
        raise BundleError(f"{called}: {MANIFEST} does not match the registered digest: deploy another run or retrain")
    try:
        made = _Origin.model_validate_json(description)
        if made.format > FORMAT:
            raise BundleError(
                f"{called} has format {made.format}, made by scorehouse {made.commit}; this door reads up to {FORMAT}: "
                "upgrade the door"
            )
        return Manifest.model_validate_json(description)
    except ValidationError as error:
        fault = "{loc}: {msg}".format(**error.errors()[0])
        raise BundleError(
            f"{called}: {MANIFEST} is damaged or was written by an incompatible version of the code: {fault}"
        ) from error


def features_json(features: Iterable[Feature]) -> list[dict[str, Any]]:
    """Return features as JSON for a manifest; `parts` and `levels` only where needed, as older doors know none."""
    return [orjson.loads(orjson.dumps(_to_json(f))) for f in features]


def _to_json(feature: Feature) -> dict[str, Any]:
    stored = {**asdict(feature), "labels": list(feature.labels.items())}
    usual = {"parts": (), "levels": "declared"}
    return {k: v for k, v in stored.items() if k not in usual or v != usual[k]}


def _feature(stored: Mapping[str, Any]) -> Feature:
    """A feature from JSON: tuples were written as lists, and labels as pairs, because keys in JSON are always text.

    Format 1 had labels by text: each belongs to the category that is written like its key, or to a whole number.
    """
    categories = tuple(stored["categories"])
    labels = stored["labels"]
    if isinstance(labels, Mapping):
        by_text: dict[str, Any] = {str(category): category for category in categories}
        labels = [(by_text.get(text, _number_or_text(text)), label) for text, label in labels.items()]
    known = {name: stored[name] for name in _FIELDS & stored.keys()}
    parts = tuple(stored.get("parts", ()))
    return Feature(**{**known, "categories": categories, "labels": dict(labels), "parts": parts})


def _number_or_text(text: str) -> int | str:
    return int(text) if re.fullmatch("-?[0-9]+", text) else text


_FIELDS = {f.name for f in fields(Feature)}
