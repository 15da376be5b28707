"""The cache: fetched once, verified at every load, and there when MLflow is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scorehouse.bundles import cache as bundle_cache
from scorehouse.bundles.bundle import MANIFEST, ONNX
from scorehouse.bundles.cache import KEPT, BundleCache
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.registry.client import Registry, Version
from tests.unit.toy import RUN_ID, Toy


class FakeRegistry(Registry):
    """A registry in a dictionary, that counts what is fetched and can be away."""

    def __init__(self, toy: Toy):
        super().__init__("http://registry")
        self.folder, self.away, self.fetched = toy.folder, False, 0
        self.version = Version("1", RUN_ID, toy.digest)
        self.damage: Callable[[str, bytes], bytes] = lambda name, content: content

    def served(self, use_case: str) -> Version:
        self._answer()
        return self.version

    def version_by_alias(self, use_case: str, alias: str) -> Version:
        self._answer()
        raise RunNotFound(f"no alias {alias}")

    def version_of_run(self, use_case: str, run_id: str) -> Version:
        self._answer()
        return self.version

    def artifact(self, run_id: str, path: str) -> bytes:
        self._answer()
        self.fetched += 1
        name = path.rpartition("/")[2]
        try:
            return self.damage(name, (self.folder / name).read_bytes())
        except FileNotFoundError as error:
            raise RunNotFound(f"no {path}") from error

    def _answer(self) -> None:
        if self.away:
            raise RegistryUnavailable("the registry is away")


@pytest.fixture
def registry(toy: Toy) -> FakeRegistry:
    return FakeRegistry(toy)


@pytest.fixture
def cache(tmp_path: Path, registry: FakeRegistry) -> BundleCache:
    return BundleCache(tmp_path / "bundles", registry)


def test_a_bundle_is_fetched_once(cache: BundleCache, registry: FakeRegistry, tmp_path: Path) -> None:
    assert cache.load(registry.version).manifest.run_id == RUN_ID
    fetched = registry.fetched
    assert fetched == 4
    cache.load(registry.version)
    BundleCache(tmp_path / "bundles", registry).load(registry.version)
    assert registry.fetched == fetched
    assert sorted(p.name for p in (tmp_path / "bundles").iterdir()) == [RUN_ID]


def test_a_cached_bundle_serves_while_the_registry_is_away(cache: BundleCache, registry: FakeRegistry) -> None:
    cache.load(registry.version)
    cache.remember("churn", "serving", registry.version)
    registry.away = True
    assert cache.resolve("churn", "serving") == registry.version
    assert cache.load(registry.version).manifest.run_id == RUN_ID


def test_a_run_that_served_under_an_alias_is_remembered_by_its_id_too(
    cache: BundleCache, registry: FakeRegistry
) -> None:
    cache.remember("churn", "serving", registry.version)
    registry.away = True
    assert cache.resolve("churn", RUN_ID) == registry.version
    with pytest.raises(RegistryUnavailable):
        cache.resolve("wine", RUN_ID)


def test_what_never_served_is_not_remembered(cache: BundleCache, registry: FakeRegistry) -> None:
    assert cache.resolve("churn", "serving") == registry.version
    registry.away = True
    with pytest.raises(RegistryUnavailable):
        cache.resolve("churn", "serving")
    with pytest.raises(RegistryUnavailable):
        cache.load(registry.version)


def test_a_registry_that_answers_is_believed_and_not_the_note(cache: BundleCache, registry: FakeRegistry) -> None:
    cache.remember("churn", "serving", Version("9", "c" * 32, None))
    assert cache.resolve("churn", "serving") == registry.version
    with pytest.raises(RunNotFound):
        cache.resolve("churn", "production")


@pytest.mark.parametrize("note", [b"", b"{", b"null", b"[]", b'{"number": 1}', b'{"x": 1}', b"\xff"])
def test_a_damaged_note_is_as_good_as_none(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path, note: bytes
) -> None:
    cache.remember("churn", "serving", registry.version)
    (tmp_path / "bundles" / "churn.serving.json").write_bytes(note)
    assert cache.remembered("churn", "serving") is None
    registry.away = True
    with pytest.raises(RegistryUnavailable):
        cache.resolve("churn", "serving")


def test_a_damaged_cached_bundle_is_fetched_again(cache: BundleCache, registry: FakeRegistry, tmp_path: Path) -> None:
    cache.load(registry.version)
    (tmp_path / "bundles" / RUN_ID / ONNX).write_bytes(b"damaged")
    assert cache.load(registry.version).manifest.run_id == RUN_ID
    assert registry.fetched == 8


def test_a_damaged_cached_bundle_is_not_served_while_the_registry_is_away(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path
) -> None:
    cache.load(registry.version)
    (tmp_path / "bundles" / RUN_ID / ONNX).write_bytes(b"damaged")
    registry.away = True
    with pytest.raises(RegistryUnavailable):
        cache.load(registry.version)


def test_a_bundle_damaged_where_it_was_registered_is_refused_and_not_kept(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.damage = lambda name, content: content[:-1] + b"!" if name == ONNX else content
    with pytest.raises(BundleError, match=f"{ONNX} is damaged"):
        cache.load(registry.version)
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_run_without_a_whole_bundle_is_refused(cache: BundleCache, registry: FakeRegistry, tmp_path: Path) -> None:
    registry.folder = tmp_path
    with pytest.raises(BundleError, match=f"run {RUN_ID} has no complete bundle"):
        cache.load(registry.version)
    registry.damage = lambda name, content: b"[1, 2]"
    (tmp_path / MANIFEST).write_bytes(b"{}")
    with pytest.raises(BundleError, match=MANIFEST):
        cache.load(registry.version)


def test_a_bundle_with_another_digest_than_was_registered_is_refused(
    cache: BundleCache, registry: FakeRegistry
) -> None:
    with pytest.raises(BundleError, match="does not match the registered digest"):
        cache.load(Version("1", RUN_ID, "0" * 64))


def test_a_bundle_of_another_run_is_refused(cache: BundleCache, registry: FakeRegistry) -> None:
    with pytest.raises(BundleError, match=f"the bundle stored under run {'c' * 32} belongs to run {RUN_ID}"):
        cache.load(Version("1", "c" * 32, registry.version.digest))


def test_a_manifest_cannot_write_outside_the_cache(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path, toy: Toy
) -> None:
    text = (toy.folder / MANIFEST).read_text().replace('"model.ubj"', '"../../escaped.ubj"')
    registry.damage = lambda name, content: text.encode() if name == MANIFEST else content
    shutil.copytree(toy.folder, tmp_path / "source")
    registry.folder = tmp_path / "source"
    (registry.folder / "escaped.ubj").write_bytes(b"x")
    with pytest.raises(BundleError):
        cache.load(Version("1", RUN_ID, None))
    assert not (tmp_path / "escaped.ubj").exists() and not (tmp_path / "bundles" / "escaped.ubj").exists()


def test_a_disk_that_takes_nothing_is_worth_another_try(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheUnavailable):
        BundleCache(tmp_path / "file", registry).load(registry.version)


def test_a_note_that_cannot_be_written_stops_nothing(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = BundleCache(tmp_path / "file", registry)
    cache.remember("churn", "serving", registry.version)
    assert cache.remembered("churn", "serving") is None


def test_two_doors_that_fetch_at_once_both_load(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = BundleCache(tmp_path / "bundles", registry)
    real = bundle_cache.bundle.load

    def load_after_the_other(folder: Path, digest: str | None = None) -> object:
        if folder.name.startswith(".fetching") and not (tmp_path / "bundles" / RUN_ID).exists():
            monkeypatch.setattr(bundle_cache.bundle, "load", real)
            other.load(registry.version)
        return real(folder, digest)

    monkeypatch.setattr(bundle_cache.bundle, "load", load_after_the_other)
    assert cache.load(registry.version).manifest.run_id == RUN_ID
    assert sorted(p.name for p in (tmp_path / "bundles").iterdir()) == [RUN_ID]


def test_old_bundles_are_forgotten_but_never_what_serves(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path
) -> None:
    folder = tmp_path / "bundles"
    for i in range(KEPT + 4):
        old = folder / f"{i:032x}"
        old.mkdir(parents=True)
        (old / MANIFEST).write_text("{}")
        os.utime(old, (1000 + i, 1000 + i))
    cache.remember("wine", "serving", Version("1", f"{0:032x}", None))
    cache.load(registry.version)
    left = {p.name for p in folder.iterdir() if p.is_dir()}
    assert f"{0:032x}" in left and RUN_ID in left
    assert left - {RUN_ID, f"{0:032x}"} == {f"{i:032x}" for i in range(4, KEPT + 4)}
