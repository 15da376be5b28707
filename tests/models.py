"""A small real model that the product trained in a process of its own, and records of a use case's sample."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests import signing
from tests.processes import run

RUN_ID, OTHER_RUN_ID = "a" * 32, "b" * 32
MANIFEST, ONNX, REFERENCE = "bundle.json", "model.onnx", "reference.json.gz"  # files of a bundle


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model's bundle on disk: never write into `folder`, copy it (`cache_in`)."""

    folder: Path
    digest: str

    @property
    def manifest(self) -> dict[str, Any]:
        """What the bundle says about itself."""
        manifest: dict[str, Any] = orjson.loads((self.folder / MANIFEST).read_bytes())
        return manifest


def train(folder: Path, run_id: str = RUN_ID, use_case: str = "churn", rows: int = 800, trials: int = 2) -> Model:
    """Train on sample rows and write the bundle of `run_id` into `folder`."""
    digest = _toy("train", str(folder), run_id, use_case, str(rows), str(trials))
    return Model(folder, digest.decode())


def records(use_case: str, count: int, seed: int = 7, drift: float = 0.0) -> list[dict[str, Any]]:
    """Return `count` valid records of the use case's own sample."""
    sample: list[dict[str, Any]] = orjson.loads(_records(use_case, count, seed, drift))
    return sample


@functools.cache
def _records(use_case: str, count: int, seed: int, drift: float) -> bytes:
    return _toy("records", use_case, str(count), str(seed), str(drift))


def _toy(*arguments: str) -> bytes:
    ended = run("tests.toy", *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.encode()


def cache_in(data_folder: Path, model: Model, alias: str | None = None) -> str:
    """Put the model into a door's cache as if it had been fetched; return the RUN_ID that serves it."""
    manifest = model.manifest
    run_id = str(manifest["run_id"])
    bundles = data_folder / "bundles"
    (bundles / run_id).mkdir(parents=True, exist_ok=True)
    for file in model.folder.iterdir():
        (bundles / run_id / file.name).write_bytes(file.read_bytes())
    signature = signing.signature(run_id, model.digest, manifest["use_case"], manifest["use_case_version"])
    pointer = orjson.dumps({"number": "1", "run_id": run_id, "digest": model.digest, "signature": signature})
    for name in filter(None, (run_id, alias)):
        (bundles / f"{manifest['use_case']}.{name}.json").write_bytes(pointer)
    return run_id
