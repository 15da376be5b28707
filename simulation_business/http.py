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

from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from simulation_business.clients.outcomes import Outcomes
from simulation_business.clients.scorer import ScorerClient
from simulation_business.options import parser, say, stop_on_signals, traffic
from simulation_business.traffic.pace import Pace
from simulation_business.traffic.progress import progress
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

REJECTED = {400, 413, 415, 422}
LOOK_SECONDS = 0.25  # between two looks while nothing is due


class HttpTraffic:
    """Sends one record a request over a few connections, and the outcomes of those that were answered."""

    def __init__(
        self,
        scorer: ScorerClient,
        outcomes: Outcomes,
        tally: Tally,
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
        connections: int,
    ):
        """`sleep` waits the given seconds and returns early and true once the traffic should end."""
        self._scorer, self._outcomes, self._tally = scorer, outcomes, tally
        self._pace, self._clock, self._sleep = pace, clock, sleep
        self._connections = connections

    def run(self, business: Iterator[Case], show: Callable[[], None]) -> None:
        """Send all of `business` and then the outcomes that are still to come; end early when told to."""
        with ThreadPoolExecutor(self._connections, "client") as pool:
            sending: set[Future[None]] = set()
            while not self._sleep(0):
                show()
                self._outcomes.send_due()
                if len(sending) == self._connections:
                    sending = _still(sending)
                elif not self._pace.take(1):
                    self._sleep(min(self._pace.wait(), LOOK_SECONDS))
                elif (case := next(business, None)) is None:
                    break
                else:
                    sending.add(pool.submit(self._send, case))
            for sent in sending:
                sent.result()
        while len(self._outcomes) and not self._sleep(min(self._outcomes.seconds(), LOOK_SECONDS)):
            show()
            self._outcomes.send_due()

    def _send(self, case: Case) -> None:
        self._tally.add("sent")
        began = self._clock()
        status = self._scorer.predict(case.body)
        if status == HTTPStatus.OK:
            self._tally.waited(self._clock() - began)
            self._tally.add("answered")
            self._outcomes.expect(case)
        elif status in REJECTED:
            self._tally.add("rejected")
        else:
            self._tally.add("failed")
            self._tally.add(f"failed with status {status}" if status else "failed without an answer")


def _still(sending: set[Future[None]]) -> set[Future[None]]:
    """Wait a little for an answer, and return what is still under way. Raises what a thread raised."""
    done, still = wait(sending, LOOK_SECONDS, FIRST_COMPLETED)
    for sent in done:
        sent.result()
    return still


def main() -> int:
    """Run until --count or a signal; return 0, or 1 when nothing was answered."""
    p = parser("http", 50.0, __doc__)
    p.add_argument("--to", metavar="ADDRESS", help="the scorer; SERVE_ADDRESS and SCORER_PORT if not given")
    p.add_argument("--connections", type=int, choices=range(1, 65), default=4, metavar="N", help="at once (4)")
    options = p.parse_args()
    settings, stop, console = settings_or_exit(), stop_on_signals(), Console(stderr=True)
    rng, tally = random.Random(), Tally(random.Random())  # noqa: S311 - jitter is no secret
    scorer = ScorerClient(
        options.to or f"http://{settings.serve_address}:{settings.scorer_port}", stop.wait, rng.random
    )
    outcomes = Outcomes(scorer, options.outcomes_after, tally, time.monotonic)
    try:
        business = islice(traffic(options, settings, rng), options.count)
        if not scorer.wait_ready(options.ready_within, time.monotonic):
            return 0
    except ScorehouseError as error:
        sys.exit(f"simulation: {error}")
    began, pace = time.monotonic(), Pace(options.rate, time.monotonic)
    sender = HttpTraffic(scorer, outcomes, tally, pace, time.monotonic, stop.wait, options.connections)
    with progress(console, "HTTP traffic", options.count, tally, time.monotonic) as show:
        sender.run(business, show)
    tally.add("retries", scorer.retries)
    tally.add("outcomes not yet due", len(outcomes))
    say(options, f"HTTP traffic for {settings.use_case}", tally, time.monotonic() - began)
    return 0 if tally["answered"] or not tally["sent"] else 1


if __name__ == "__main__":
    sys.exit(main())
