"""Traffic for the stream scorer: `python -m simulation_business.kinesis --rate 50 --count 5000 --answers`."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from rich.console import Console

from scorehouse.aws import aws_client
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from simulation_business.clients.answers import Answers
from simulation_business.clients.outcomes import Outcomes
from simulation_business.clients.scorer import ScorerClient
from simulation_business.clients.sending import Sender, wait_for_stream
from simulation_business.options import parser, say, stop_on_signals, traffic
from simulation_business.traffic.pace import Pace
from simulation_business.traffic.progress import progress
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import Case

LOOK_SECONDS = 0.25  # between two looks while nothing is due
READ_SECONDS = 0.5  # between two reads of the answers


class StreamTraffic:
    """Sends records in batches, counts the answers that come back, and sends outcomes."""

    def __init__(
        self,
        sender: Sender,
        answers: Answers | None,
        outcomes: Outcomes,
        tally: Tally,
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
    ):
        """`sleep` waits the given seconds and returns early and true once the traffic should end."""
        self._sender, self._answers, self._outcomes, self._tally = sender, answers, outcomes, tally
        self._pace, self._clock, self._sleep = pace, clock, sleep
        self._sent_at: dict[str, float] = {}
        self._read_at = clock()

    def run(self, business: Iterator[Case], patience: float, show: Callable[[], None]) -> None:
        """Send all of `business`, then wait up to `patience` seconds for answers, and for outcomes to become due."""
        while not self._sleep(0):
            self._look(show)
            if not (due := self._pace.take(self._sender.most)):
                self._sleep(min(self._pace.wait(), LOOK_SECONDS))
            elif not (batch := list(islice(business, due))):
                break
            else:
                self._send(batch)
        ends = self._clock() + patience
        while (self._sent_at and self._clock() < ends) or len(self._outcomes):
            if self._sleep(LOOK_SECONDS):
                break
            self._look(show)
        if self._answers is not None:
            self._tally.add("without an answer", len(self._sent_at))

    def _send(self, batch: list[Case]) -> None:
        began = self._clock()
        self._tally.add("sent", len(batch))
        for case in self._sender.send(batch):
            if self._answers is not None:
                self._sent_at[case.prediction_id] = began
            if case.fault is None:  # a record that cannot be scored will have no prediction
                self._outcomes.expect(case)

    def _look(self, show: Callable[[], None]) -> None:
        show()
        self._outcomes.send_due()
        if self._answers is None or self._clock() < self._read_at:
            return
        self._read_at = self._clock() + READ_SECONDS
        for id_, answered in self._answers.read():
            sent_at = self._sent_at.pop(id_, None)
            if sent_at is None:
                self._tally.add("answered again")
                continue
            self._tally.add("answered" if answered else "rejected")
            self._tally.waited(self._clock() - sent_at)


def main() -> int:
    """Run until --count or a signal; return 0, or 1 when nothing could be sent or no answer came back."""
    p = parser("kinesis", 50.0, __doc__)
    p.add_argument("--answers", action="store_true", help="read the results, and count what came back")
    p.add_argument("--answers-within", type=float, default=30.0, metavar="SECONDS", help="to wait for them (30)")
    options = p.parse_args()
    settings, stop, console = settings_or_exit(), stop_on_signals(), Console(stderr=True)
    rng, tally = random.Random(), Tally(random.Random())  # noqa: S311 - jitter is no secret
    client: Any = aws_client("kinesis", settings.kinesis_address, settings.aws_default_region)
    scorer = ScorerClient(f"http://{settings.serve_address}:{settings.scorer_port}", stop.wait, rng.random)
    streams = (settings.predictions_stream_name, settings.results_stream_name, settings.errors_stream_name)
    pace, began = Pace(options.rate, time.monotonic), time.monotonic()
    sender = Sender(client, streams[0], tally, time.monotonic, stop.wait, rng.random)
    outcomes = Outcomes(scorer, options.outcomes_after, tally, time.monotonic)
    try:
        business = islice(traffic(options, settings, rng, wrap=True), options.count)
        for stream in streams if options.answers else streams[:1]:
            wait_for_stream(client, stream, options.ready_within, time.monotonic, stop.wait)
        answers = Answers(client, *streams[1:], options.seed) if options.answers else None
        run = StreamTraffic(sender, answers, outcomes, tally, pace, time.monotonic, stop.wait)
        with progress(console, "stream traffic", options.count, tally, time.monotonic) as show:
            run.run(business, options.answers_within, show)
    except ScorehouseError as error:
        sys.exit(f"simulation: {error}")
    tally.add("outcomes not yet due", len(outcomes))
    say(options, f"Stream traffic for {settings.use_case}", tally, time.monotonic() - began)
    good = tally["answered"] + tally["rejected"] if options.answers else tally["sent"] - tally["failed"]
    return 0 if good or not tally["sent"] else 1


if __name__ == "__main__":
    sys.exit(main())
