"""Bundles on disk by run id, so that a door can restart while MLflow is down."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

import orjson

from scorehouse.bundles import bundle
from scorehouse.bundles.bundle import MANIFEST, Bundle
from scorehouse.bundles.signatures import SIGNATURE, Trust
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.registry.client import LARGEST_ARTIFACT, SERVING, Registry, Version
from scorehouse.settings import ServingSettings

log = logging.getLogger(__name__)
LARGEST_MANIFEST = 16 * 2**20  # bytes
KEPT = 8  # bundles that nothing serves; older ones are deleted, and fetched again when they are needed


class BundleCache:
    """Fetches each bundle once and verifies it at every load; remembers which version each alias served last."""

    def __init__(self, folder: Path, registry: Registry, trust: Trust):
        """Keep bundles in `folder`, shared by all doors of a machine. Load none that `trust` refuses."""
        self._folder = folder
        self._registry = registry
        self._trust = trust

    @classmethod
    def of(cls, settings: ServingSettings, registry: Registry | None = None) -> BundleCache:
        """Return the cache of this machine, which loads what the settings trust; `registry` is that of the settings."""
        return cls(settings.bundle_folder, registry or Registry.of(settings), Trust.of(settings))

    def resolve(self, use_case: str, wanted: str) -> Version:
        """Return the version that `wanted` (a run id or an alias) names or, while MLflow is down, served as last.

        Raises:
            RunNotFound: MLflow has no such run or alias.
            RegistryUnavailable: MLflow is down and nothing was remembered.
        """
        try:
            return self.ask(use_case, wanted)
        except RegistryUnavailable:
            if remembered := self.remembered(use_case, wanted):
                return remembered
            raise

    def ask(self, use_case: str, wanted: str) -> Version:
        """Return the version that `wanted` names in MLflow. Raises RunNotFound, RegistryUnavailable."""
        if wanted == SERVING:
            return self._registry.served(use_case)
        by_run = len(wanted) == 32
        return (self._registry.version_of_run if by_run else self._registry.version_by_alias)(use_case, wanted)

    def remember(self, use_case: str, wanted: str, version: Version) -> None:
        """Record that `version` serves as `wanted`. Call this only once it does."""
        if self.remembered(use_case, wanted) == version:
            return
        try:
            _replace(self._pointer(use_case, wanted), orjson.dumps(asdict(version)))
        except OSError as error:  # it serves all the same; only a restart without MLflow would miss it
            log.warning("the bundle cache cannot be written: %s", error)

    def remembered(self, use_case: str, wanted: str) -> Version | None:
        """Return the version that served as `wanted` last, or None if there is none, or its record is damaged.

        A run id is also found under an alias that it served as.
        """
        others = (v for path in self._folder.glob(f"{use_case}.*.json") if (v := _read_pointer(path)))
        return _read_pointer(self._pointer(use_case, wanted)) or next((v for v in others if v.run_id == wanted), None)

    def load(self, version: Version) -> Bundle:
        """Return the verified bundle of `version`, fetched if it is not in the cache, or is damaged there.

        The signature is verified before anything of the bundle is fetched or read.

        Raises:
            BundleError: the registered bundle is missing or damaged, or no trusted key has signed it.
            RegistryUnavailable: it is not cached, and MLflow is down.
            CacheUnavailable: it cannot be written to this machine's disk; try again later.
        """
        statement = self._trust.verify(f"run {version.run_id}", version.digest, version.signature)
        loaded = self._from_disk(version) or self._from_registry(version)
        loaded.require_agreement(statement)
        return loaded

    def _from_disk(self, version: Version) -> Bundle | None:
        """The bundle, or None where it must be fetched. Raises CacheUnavailable."""
        folder = self._folder / version.run_id
        if not folder.exists():
            return None
        try:
            return _load(folder, version)
        except BundleError as error:
            log.warning("%s: fetching it again", error)
            return None

    def _from_registry(self, version: Version) -> Bundle:
        folder = self._folder / version.run_id
        try:
            self._fetch(version, folder)
            return _load(folder, version)
        except OSError as error:
            raise CacheUnavailable(f"the bundle of run {version.run_id} cannot be cached: {error}") from error

    def _fetch(self, version: Version, folder: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".fetching-", dir=self._folder))
        try:
            self._download(version.run_id, MANIFEST, partial)
            description = (partial / MANIFEST).read_bytes()
            for name in bundle.read_manifest(description, version.digest, f"run {version.run_id}").files:
                self._download(version.run_id, Path(name).name, partial)
            _load(partial, version)
            self._put(partial, folder, version)
        except RunNotFound as error:
            raise BundleError(f"run {version.run_id} has no complete bundle: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._forget_old(folder)

    def _put(self, partial: Path, folder: Path, version: Version) -> None:
        """Move `partial` to `folder`, unless another process of this machine was faster."""
        try:
            partial.rename(folder)
        except OSError:
            try:
                _load(folder, version)
            except BundleError:
                shutil.rmtree(folder)
                partial.rename(folder)

    def _download(self, run_id: str, name: str, folder: Path) -> None:
        most = LARGEST_MANIFEST if name == MANIFEST else LARGEST_ARTIFACT
        (folder / name).write_bytes(self._registry.artifact(run_id, f"bundle/{name}", most))

    def _forget_old(self, keep: Path) -> None:
        """Delete the oldest bundles, but none that serves somewhere: a restart without MLflow would need it."""
        served = {self._folder / v.run_id for path in self._folder.glob("*.json") if (v := _read_pointer(path))}
        spare = [path.parent for path in self._folder.glob(f"*/{MANIFEST}") if path.parent not in {keep, *served}]
        for folder in sorted(spare, key=_age)[KEPT:]:
            shutil.rmtree(folder, ignore_errors=True)

    def _pointer(self, use_case: str, wanted: str) -> Path:
        return self._folder / f"{use_case}.{wanted}.json"


def load_packed(folder: Path, trust: Trust) -> tuple[Bundle, Version]:
    """Return the verified bundle in `folder`, which was packed with a door, and the version that a registry had.

    Raises:
        BundleError: it is missing or damaged, or no trusted key has signed it.
        CacheUnavailable: the folder cannot be read.
    """
    try:
        digest = bundle.digest_of((folder / MANIFEST).read_bytes())
        signed = folder / SIGNATURE
        signature = signed.read_text(errors="replace") if signed.exists() else None
    except FileNotFoundError as error:
        raise BundleError(f"the bundle in {folder.name} has no {MANIFEST}: pack the bundle of a run") from error
    except OSError as error:
        raise CacheUnavailable(f"the bundle in {folder.name} cannot be read: {error.strerror}") from error
    statement = trust.verify(f"the bundle in {folder.name}", digest, signature)
    loaded = bundle.load(folder, digest)
    loaded.require_agreement(statement)
    return loaded, Version("1", loaded.manifest.run_id, digest, signature)


def _load(folder: Path, version: Version) -> Bundle:
    loaded = bundle.load(folder, version.digest, f"run {version.run_id}")
    if loaded.manifest.run_id != version.run_id:
        raise BundleError(
            f"the bundle stored under run {version.run_id} belongs to run {loaded.manifest.run_id}: "
            "deploy another run or retrain"
        )
    return loaded


def _read_pointer(path: Path) -> Version | None:
    try:
        return Version(**orjson.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):  # none yet, or damaged, which is the same
        return None


def _age(folder: Path) -> float:
    """Larger is older. 0 for a folder that another process has just deleted."""
    try:
        return -folder.stat().st_mtime
    except OSError:
        return 0.0


def _replace(path: Path, content: bytes) -> None:
    """Write `path` atomically: a reader sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)
