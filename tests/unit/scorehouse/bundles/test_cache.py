"""The cache: fetched once, verified at every load, and there when MLflow is not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scorehouse.bundles import cache as bundle_cache
from scorehouse.bundles.bundle import MANIFEST, ONNX
from scorehouse.bundles.cache import KEPT, BundleCache, load_packed
from scorehouse.bundles.signatures import SIGNATURE, Trust
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.registry.client import Registry, Version
from scorehouse.settings import ServingSettings
from tests import signing
from tests.unit.toy import RUN_ID, Toy

TRUST = Trust((signing.PUBLIC,))
ANY = Trust((), unsigned=True)


class FakeRegistry(Registry):
    """A registry in a dictionary, that counts what is fetched and can be away."""

    def __init__(self, toy: Toy):
        super().__init__("http://registry")
        self.folder, self.away, self.fetched = toy.folder, False, 0
        self.version = Version("1", RUN_ID, toy.digest, signing.signature(RUN_ID, toy.digest))
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

    def artifact(self, run_id: str, path: str, most: int = 2**30) -> bytes:
        assert 2**20 < most <= 2**30
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
    return BundleCache(tmp_path / "bundles", registry, TRUST)


def test_a_bundle_is_fetched_once(cache: BundleCache, registry: FakeRegistry, tmp_path: Path) -> None:
    assert cache.load(registry.version).manifest.run_id == RUN_ID
    fetched = registry.fetched
    assert fetched == 4
    cache.load(registry.version)
    BundleCache(tmp_path / "bundles", registry, TRUST).load(registry.version)
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
    with pytest.raises(BundleError, match=MANIFEST):
        BundleCache(tmp_path / "other", registry, ANY).load(Version("1", RUN_ID, None))


def test_a_bundle_with_another_digest_than_was_registered_is_refused(
    cache: BundleCache, registry: FakeRegistry
) -> None:
    with pytest.raises(BundleError, match=f"run {RUN_ID}: bundle.json does not match the registered digest"):
        cache.load(Version("1", RUN_ID, "0" * 64, signing.signature(RUN_ID, "0" * 64)))


def test_a_bundle_of_another_run_is_refused(cache: BundleCache, toy: Toy) -> None:
    with pytest.raises(BundleError, match=f"the bundle stored under run {'c' * 32} belongs to run {RUN_ID}"):
        digest = toy.digest
        cache.load(Version("1", "c" * 32, digest, signing.signature("c" * 32, digest)))


def test_a_manifest_cannot_write_outside_the_cache(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path, toy: Toy
) -> None:
    text = (toy.folder / MANIFEST).read_text().replace('"model.ubj"', '"../../escaped.ubj"')
    registry.damage = lambda name, content: text.encode() if name == MANIFEST else content
    shutil.copytree(toy.folder, tmp_path / "source")
    registry.folder = tmp_path / "source"
    (registry.folder / "escaped.ubj").write_bytes(b"x")
    with pytest.raises(BundleError):
        BundleCache(tmp_path / "bundles", registry, ANY).load(Version("1", RUN_ID, None))
    assert not (tmp_path / "escaped.ubj").exists() and not (tmp_path / "bundles" / "escaped.ubj").exists()


def test_a_disk_that_takes_nothing_is_worth_another_try(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheUnavailable):
        BundleCache(tmp_path / "file", registry, TRUST).load(registry.version)


def test_a_note_that_cannot_be_written_stops_nothing(registry: FakeRegistry, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = BundleCache(tmp_path / "file", registry, TRUST)
    cache.remember("churn", "serving", registry.version)
    assert cache.remembered("churn", "serving") is None


def test_two_doors_that_fetch_at_once_both_load(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = BundleCache(tmp_path / "bundles", registry, TRUST)
    real = bundle_cache.bundle.load

    def load_after_the_other(folder: Path, digest: str | None, called: str) -> object:
        if folder.name.startswith(".fetching") and not (tmp_path / "bundles" / RUN_ID).exists():
            monkeypatch.setattr(bundle_cache.bundle, "load", real)
            other.load(registry.version)
        return real(folder, digest, called)

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


def test_an_unsigned_version_is_refused_before_a_byte_of_it_is_fetched(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path
) -> None:
    with pytest.raises(BundleError, match=f"run {RUN_ID} is not signed"):
        cache.load(Version("1", RUN_ID, registry.version.digest))
    assert registry.fetched == 0
    assert BundleCache(tmp_path / "any", registry, ANY).load(Version("1", RUN_ID, registry.version.digest))


def test_a_swapped_model_with_a_digest_to_match_is_refused(
    cache: BundleCache, registry: FakeRegistry, tmp_path: Path, toy: Toy
) -> None:
    """Whoever may write artifacts and tags has everything but the private key."""
    shutil.copytree(toy.folder, tmp_path / "swapped")
    (tmp_path / "swapped" / ONNX).write_bytes((toy.folder / ONNX).read_bytes() + b"\0")
    manifest = bundle_cache.bundle.read_manifest((toy.folder / MANIFEST).read_bytes())
    contents = {name: (tmp_path / "swapped" / name).read_bytes() for name in manifest.files}
    digest = bundle_cache.bundle.write(tmp_path / "swapped", manifest, contents)
    registry.folder = tmp_path / "swapped"
    forged = signing.signature(RUN_ID, digest, key=signing.OTHER_KEY)
    for signature in (None, registry.version.signature, forged):
        with pytest.raises(BundleError, match="sign"):
            cache.load(Version("1", RUN_ID, digest, signature))
        with pytest.raises(BundleError, match="match"):
            cache.load(registry.version)  # the old tags do not fit the new files
    assert not (tmp_path / "bundles" / RUN_ID).exists()


@pytest.mark.parametrize("statement", [{"use_case": "wine"}, {"version": 2}, {"run_id": "b" * 32}])
def test_a_signed_statement_about_another_bundle_is_refused(
    cache: BundleCache, registry: FakeRegistry, statement: dict[str, Any]
) -> None:
    signed = signing.signature(**{"run_id": RUN_ID, "digest": registry.version.digest, **statement})
    with pytest.raises(BundleError, match="has the signature of another bundle"):
        cache.load(replace(registry.version, signature=signed))


def test_a_packed_bundle_is_verified_by_the_signature_beside_it(toy: Toy, tmp_path: Path) -> None:
    shutil.copytree(toy.folder, tmp_path / "packed")
    loaded, version = load_packed(tmp_path / "packed", TRUST)
    assert loaded.manifest.run_id == RUN_ID
    assert version == Version("1", RUN_ID, toy.digest, signing.signature(RUN_ID, toy.digest))
    (tmp_path / "packed" / SIGNATURE).write_text(signing.signature(RUN_ID, toy.digest, key=signing.OTHER_KEY))
    with pytest.raises(BundleError, match="the bundle in packed is not signed by a key in VERIFY_KEY"):
        load_packed(tmp_path / "packed", TRUST)
    (tmp_path / "packed" / SIGNATURE).unlink()
    with pytest.raises(BundleError, match="the bundle in packed is not signed"):
        load_packed(tmp_path / "packed", TRUST)
    assert load_packed(tmp_path / "packed", ANY)[0].manifest.run_id == RUN_ID
    (tmp_path / "packed" / MANIFEST).unlink()
    with pytest.raises(BundleError, match=r"the bundle in packed has no bundle\.json"):
        load_packed(tmp_path / "packed", ANY)


def test_the_settings_name_folder_registry_and_trust(tmp_path: Path, registry: FakeRegistry) -> None:
    settings = ServingSettings(data_folder=tmp_path, mlflow_address="http://house:5051", verify_key=signing.VERIFY_KEY)
    cache = BundleCache.of(settings)
    assert (cache._folder, cache._registry.address) == (tmp_path / "bundles", "http://house:5051")
    assert cache._trust == TRUST
    assert BundleCache.of(settings, registry)._registry is registry
