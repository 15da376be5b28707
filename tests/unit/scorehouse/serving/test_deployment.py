"""A door follows the registry: it swaps to what passes, refuses and tells what does not, and survives the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import Trust
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.journal.journal import Journal
from scorehouse.registry.client import Registry, Version
from scorehouse.serving.deployment import Deployment
from scorehouse.serving.serving import Serving
from tests.unit.toy import OTHER_RUN_ID, RUN_ID, Toy

ONE, OTHER = Version("1", RUN_ID, None), Version("2", OTHER_RUN_ID, None)


class FakeCache(BundleCache):
    """A cache whose registry says what the test tells it to."""

    def __init__(self, folder: Path, toy: Toy):
        super().__init__(folder, Registry("http://registry"), Trust(()))
        self.toy, self.says, self.faults, self.loads = toy, ONE, {}, 0
        self.fault: Exception | None = None
        self.faults: dict[Version, Exception]

    def ask(self, use_case: str, wanted: str) -> Version:
        if self.fault:
            raise self.fault
        return self.says

    def load(self, version: Version) -> Any:
        self.loads += 1
        if version in self.faults:
            raise self.faults[version]
        found = self.toy.bundle()
        found.manifest = found.manifest.model_copy(update={"run_id": version.run_id})
        return found


@pytest.fixture
def cache(toy: Toy, tmp_path: Path) -> FakeCache:
    return FakeCache(tmp_path / "bundles", toy)


def door(cache: FakeCache, tmp_path: Path, clock: Callable[[], float] = lambda: 0.0) -> tuple[Deployment, Serving]:
    serving = Serving("churn", "http", Journal(tmp_path / "journal", "http"))
    return Deployment(cache.toy.use_case, serving, cache, clock=clock), serving


def served(serving: Serving) -> str | None:
    return serving.model.run_id if serving.model else None


def test_what_the_registry_names_is_served_and_a_move_is_followed(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    assert served(serving) == RUN_ID
    deployment.poll()
    assert cache.loads == 1
    cache.says = OTHER
    deployment.poll()
    assert served(serving) == OTHER_RUN_ID
    labels = ("churn", "http")
    assert metrics.MODEL_INFO.labels(*labels, RUN_ID)._value.get() == 0
    assert metrics.MODEL_INFO.labels(*labels, OTHER_RUN_ID)._value.get() == 1


def test_a_refused_bundle_is_told_and_fetched_once_while_the_old_one_serves(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    cache.says, cache.faults = OTHER, {OTHER: BundleError("it is damaged")}
    for _ in range(5):
        deployment.poll()
    assert served(serving) == RUN_ID
    assert (deployment.status.registry, deployment.status.refused) == ("answers", "it is damaged")
    assert cache.loads == 2
    assert metrics.MODEL_REFUSED.labels("churn", "http")._value.get() == 1
    cache.says = ONE
    deployment.poll()
    assert deployment.status.refused is None
    assert metrics.MODEL_REFUSED.labels("churn", "http")._value.get() == 0


def test_a_refused_bundle_is_tried_again_after_a_growing_wait(cache: FakeCache, tmp_path: Path) -> None:
    now = 0.0
    deployment, serving = door(cache, tmp_path, lambda: now)
    deployment.poll()
    cache.says, cache.faults = OTHER, {OTHER: BundleError("there was no memory for it")}
    tried = []
    while now < 3600:
        loads = cache.loads
        deployment.poll()
        if cache.loads > loads:
            tried.append(now)
        assert served(serving) == RUN_ID and deployment.status.refused == "there was no memory for it"
        now += 2
    assert tried == [0, 10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030]
    cache.faults = {}
    deployment.poll()  # the next attempt is due in half a minute
    assert served(serving) == RUN_ID
    now += 30
    deployment.poll()
    assert served(serving) == OTHER_RUN_ID and deployment.status.refused is None


def test_a_refused_version_that_has_been_signed_since_is_tried_at_once(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    cache.faults = {ONE: BundleError("it is not signed")}
    deployment.poll()
    cache.says = replace(ONE, signature="signed")
    deployment.poll()
    assert served(serving) == RUN_ID


def test_a_refused_deployment_is_no_outage_after_a_restart(cache: FakeCache, tmp_path: Path) -> None:
    door(cache, tmp_path)[0].poll()
    cache.says, cache.faults = OTHER, {OTHER: BundleError("it is damaged")}
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    assert served(serving) == RUN_ID
    assert deployment.status.refused == "it is damaged"


def test_a_refused_version_is_never_what_a_restart_without_mlflow_serves(cache: FakeCache, tmp_path: Path) -> None:
    first, _ = door(cache, tmp_path)
    first.poll()
    cache.says, cache.faults = OTHER, {OTHER: BundleError("it is damaged")}
    first.poll()
    cache.fault = RegistryUnavailable("MLflow is down")
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    assert served(serving) == RUN_ID


def test_while_the_registry_is_down_the_model_serves_on(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    cache.fault = RegistryUnavailable("MLflow is down")
    deployment.poll()
    assert served(serving) == RUN_ID
    assert deployment.status.registry == "MLflow is down"
    assert metrics.REGISTRY_UP.labels("http")._value.get() == 0
    cache.fault = None
    deployment.poll()
    assert deployment.status.registry == "answers"


def test_a_door_restarts_from_its_cache_while_the_registry_is_down_and_says_so(
    cache: FakeCache, tmp_path: Path
) -> None:
    door(cache, tmp_path)[0].poll()
    cache.fault = RegistryUnavailable("MLflow is down")
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    assert served(serving) == RUN_ID
    assert (deployment.status.registry, deployment.status.refused) == ("MLflow is down", None)


def test_a_cache_that_is_damaged_while_the_registry_is_down_is_told(cache: FakeCache, tmp_path: Path) -> None:
    door(cache, tmp_path)[0].poll()
    cache.fault, cache.faults = RegistryUnavailable("MLflow is down"), {ONE: BundleError("it is damaged")}
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    assert serving.model is None
    assert (deployment.status.registry, deployment.status.refused) == ("MLflow is down", "it is damaged")


def test_a_registry_that_was_never_there_leaves_the_door_waiting(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    cache.fault = RegistryUnavailable("MLflow is down")
    deployment.poll()
    assert serving.model is None
    assert deployment.status.registry == "MLflow is down"
    assert metrics.REGISTRY_UP.labels("http")._value.get() == 0
    cache.fault = None
    deployment.poll()
    assert served(serving) == RUN_ID
    assert metrics.REGISTRY_UP.labels("http")._value.get() == 1


def test_a_registry_without_a_model_is_reported_as_missing_not_as_refused(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    cache.fault = RunNotFound("no alias serving")
    deployment.poll()
    assert serving.model is None
    assert (deployment.status.refused, deployment.status.missing) == (None, "no alias serving")
    assert metrics.MODEL_REFUSED.labels("churn", "http")._value.get() == 0  # a new stack alerts nobody


def test_an_alias_that_disappears_while_a_run_is_served_is_refused(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    deployment.poll()
    cache.fault = RunNotFound("no alias serving")
    deployment.poll()
    assert served(serving) == RUN_ID
    assert (deployment.status.refused, deployment.status.missing) == ("no alias serving", None)
    assert metrics.MODEL_REFUSED.labels("churn", "http")._value.get() == 1


def test_a_disk_that_is_full_for_a_while_refuses_nothing_for_good(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    cache.faults = {ONE: CacheUnavailable("the disk is full")}
    deployment.poll()
    assert serving.model is None
    cache.faults = {}
    deployment.poll()
    assert served(serving) == RUN_ID


def test_another_version_of_the_code_refuses_the_bundle(cache: FakeCache, tmp_path: Path) -> None:
    serving = Serving("churn", "http", Journal(tmp_path / "journal", "http"))
    deployment = Deployment(replace(cache.toy.use_case, version=2), serving, cache)
    deployment.poll()
    assert serving.model is None
    assert deployment.status.refused and "version 1 of churn, but this code is version 2" in deployment.status.refused


def test_following_polls_at_once_and_an_unforeseen_error_does_not_end_it(cache: FakeCache, tmp_path: Path) -> None:
    deployment, serving = door(cache, tmp_path)
    cache.fault = ValueError("nobody foresaw this")
    stop, failed = Event(), Event()
    real = deployment.poll

    def poll() -> None:
        try:
            real()
        except ValueError:
            cache.fault = None
            failed.set()
            raise
        if serving.model is not None:
            stop.set()

    deployment.poll = poll  # type: ignore[method-assign]
    thread = deployment.follow(stop, seconds=0.001)
    thread.join(10)
    assert failed.is_set() and not thread.is_alive()
    assert served(serving) == RUN_ID
