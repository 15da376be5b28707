"""Traffic for the HTTP scorer: `python -m simulation_business.http --rate 50 --count 5000 --outcomes-after 10`."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from http import HTTPStatus
from itertools import islice

from rich.console import Console

from scorehouse.access import bearer
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from simulation_business.clients.outcomes import OutcomeSender
from simulation_business.clients.scorer import ScorerClient
from simulation_business.options import (
    NothingToSend,
    make_cases,
    make_parser,
    print_summary,
    stop_on_signals,
    wait_for_nothing,
)
from simulation_business.traffic.pace import Pace
from simulation_business.traffic.progress import progress
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

REJECTED = {400, 413, 415, 422}
POLL_SECONDS = 0.25  # while nothing is due


class HttpTraffic:
    """Sends one record in each request, over a few connections, and the outcomes of the answered ones."""

    def __init__(
        self,
        scorer: ScorerClient,
        outcomes: OutcomeSender,
        tally: Tally,
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
        connections: int,
    ):
        """`sleep` waits the given seconds; it returns early, with true, when the traffic should end."""
        self._scorer = scorer
        self._outcomes = outcomes
        self._tally = tally
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._connections = connections

    def run(self, cases: Iterator[Case], show: Callable[[], None]) -> None:
        """Send all `cases`, then the outcomes that are not due yet. End early if the process should stop."""
        with ThreadPoolExecutor(self._connections, "client") as pool:
            sending: set[Future[None]] = set()
            while not self._sleep(0):
                show()
                self._outcomes.send_due()
                if len(sending) == self._connections:
                    sending = _wait_for_one(sending)
                elif not self._pace.take(1):
                    self._sleep(min(self._pace.wait(), POLL_SECONDS))
                elif (case := next(cases, None)) is None:
                    break
                else:
                    sending.add(pool.submit(self._send, case))
            for request in sending:
                request.result()
        while len(self._outcomes) and not self._sleep(min(self._outcomes.seconds_until_due(), POLL_SECONDS)):
            show()
            self._outcomes.send_due()

    def _send(self, case: Case) -> None:
        self._tally.add("sent")
        began = self._clock()
        status = self._scorer.predict(case.body)
        if status == HTTPStatus.OK:
            self._tally.add_wait(self._clock() - began)
            self._tally.add("answered")
            self._outcomes.schedule(case)
        elif status in REJECTED:
            self._tally.add("rejected")
        else:
            self._tally.add("failed")
            self._tally.add(f"failed with status {status}" if status else "failed without a response")


def _wait_for_one(sending: set[Future[None]]) -> set[Future[None]]:
    """Wait a little for an answer. Return the requests without one. Raises what a thread raised."""
    done, unanswered = wait(sending, POLL_SECONDS, FIRST_COMPLETED)
    for request in done:
        request.result()
    return unanswered


def main() -> int:
    """Run until --count is reached or a signal comes. Return 0, or 1 if nothing was answered."""
    p = make_parser("http", 50.0, __doc__)
    p.add_argument("--to", metavar="ADDRESS", help="the scorer's address (from SERVE_ADDRESS and SCORER_PORT)")
    p.add_argument(
        "--connections",
        type=int,
        choices=range(1, 65),
        default=4,
        metavar="N",
        help="how many connections to use at once (4)",
    )
    options = p.parse_args()
    settings = settings_or_exit()
    stop = stop_on_signals()
    rng = random.Random()  # noqa: S311 - jitter is not secret
    tally = Tally(random.Random())  # noqa: S311
    scorer = ScorerClient(
        options.to or f"http://{settings.serve_address}:{settings.scorer_port}",
        stop.wait,
        rng.random,
        headers=bearer(settings),
    )
    outcomes = OutcomeSender(scorer, options.outcomes_after, tally, time.monotonic)
    began = time.monotonic()
    try:
        cases = islice(make_cases(options, settings, rng), options.count)
        if not scorer.wait_ready(options.ready_within, time.monotonic):
            return 0
        began = time.monotonic()
        pace = Pace(options.rate, time.monotonic)
        traffic = HttpTraffic(scorer, outcomes, tally, pace, time.monotonic, stop.wait, options.connections)
        with progress(Console(stderr=True), "HTTP traffic", options.count, tally, time.monotonic) as show:
            traffic.run(cases, show)
    except NothingToSend as reason:
        return wait_for_nothing(reason, options, stop)
    except ScorehouseError as error:
        sys.exit(f"simulation: {error}")
    tally.add("retries", scorer.retries)
    tally.add("outcomes not yet due", len(outcomes))
    print_summary(options, f"HTTP traffic for {settings.use_case}", tally, time.monotonic() - began)
    return 0 if tally["answered"] or not tally["sent"] else 1


if __name__ == "__main__":
    sys.exit(main())
