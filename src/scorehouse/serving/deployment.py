"""How a door follows the registry: the run it names is fetched, checked and swapped in, or refused with a reason."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread

from scorehouse import metrics
from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.refusal import Refusal
from scorehouse.errors import BundleError, CacheUnavailable, RegistryUnavailable, RunNotFound
from scorehouse.polling import POLL_SECONDS, poll_in_thread
from scorehouse.registry.client import SERVING, Version
from scorehouse.serving.serving import Model, Serving
from scorehouse.usecase import UseCase

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What /readyz says about the registry, and about the run that was asked for last."""

    registry: str = "not asked yet"
    refused: str | None = None
    missing: str | None = None  # what the registry does not contain yet, while no run is served
    registry_up: bool = True  # until a call fails


class Deployment:
    """Keeps one door at the run that `wanted` names: a run id is fixed, an alias of the registry is followed."""

    def __init__(
        self,
        use_case: UseCase,
        serving: Serving,
        cache: BundleCache,
        wanted: str = SERVING,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Load nothing yet: `poll` does. `wanted` is RUN_ID, and the alias `serving` if that is empty."""
        self._use_case = use_case
        self._serving = serving
        self._cache = cache
        self._wanted = wanted or SERVING
        self._labels = (use_case.name, serving.door)
        self._clock = clock
        self._refusal: Refusal | None = None
        self.status = Status()

    def poll(self) -> None:
        """Ask the registry once, and serve the run it names if that passes every check; else keep what served last."""
        try:
            self._swap_to(self._cache.ask(self._use_case.name, self._wanted))
            self._report("answers", None)
        except RegistryUnavailable as error:
            self._report(str(error), self._serve_last() or self.status.refused, up=False)
        except RunNotFound as error:
            self._serve_last()
            if self._serving.model is None:  # nothing was refused: there is no run to serve yet
                self._report("answers", None, missing=str(error))
            else:
                self._report("answers", str(error))
        except (BundleError, CacheUnavailable) as error:
            self._serve_last()
            self._report("answers", str(error))

    def follow(self, stop: Event, seconds: float = POLL_SECONDS) -> Thread:
        """Poll now, and every `seconds`, in a thread until `stop` is set."""
        return poll_in_thread(self.poll, "following the registry", stop, seconds)

    def _serve_last(self) -> str | None:
        """If nothing serves yet, serve what did before the restart, or return why not. A refusal costs no outage."""
        last = self._cache.remembered(self._use_case.name, self._wanted)
        if self._serving.model is not None or last is None or last == (self._refusal and self._refusal.what):
            return None
        try:
            self._load(last)
        except (BundleError, CacheUnavailable, RegistryUnavailable) as error:
            return str(error)
        return None

    def _swap_to(self, version: Version) -> None:
        model = self._serving.model
        if model is None or model.run_id != version.run_id:
            if self._refusal and self._refusal.holds(version, self._clock()):  # do not fetch it again yet
                raise BundleError(self._refusal.reason)
            try:
                self._load(version)
            except BundleError as error:
                self._refusal = Refusal.of(version, str(error), self._clock(), self._refusal)
                raise
        self._refusal = None
        self._cache.remember(self._use_case.name, self._wanted, version)

    def _load(self, version: Version) -> None:
        bundle = self._cache.load(version)
        new = Model(bundle, bundle.scorer(self._use_case))
        old = self._serving.model
        self._serving.model = new
        self._record_swap(old, new)

    def _record_swap(self, old: Model | None, new: Model) -> None:
        if old is not None:
            metrics.MODEL_INFO.labels(*self._labels, old.run_id).set(0)
        metrics.MODEL_INFO.labels(*self._labels, new.run_id).set(1)
        metrics.MODEL_CREATED.labels(*self._labels).set(new.bundle.manifest.created_at.timestamp())
        metrics.MODEL_SWAPS.labels(*self._labels).inc()
        log.info(
            "serving run %s", new.run_id, extra={"about": {"model_run_id": new.run_id, "use_case": self._use_case.name}}
        )

    def _report(self, registry: str, refused: str | None, missing: str | None = None, up: bool = True) -> None:
        metrics.REGISTRY_UP.labels(self._serving.door).set(up)
        metrics.MODEL_REFUSED.labels(*self._labels).set(refused is not None and self._serving.model is not None)
        status = Status(registry, refused, missing, up)
        for name in ("registry", "refused", "missing"):
            before, now = getattr(self.status, name), getattr(status, name)
            if now is not None and now != before:
                log.log(logging.INFO if now == "answers" else logging.WARNING, "registry: %s", now)
        self.status = status
