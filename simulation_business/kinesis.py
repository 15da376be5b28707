"""Traffic for the stream scorer: `python -m simulation_business.kinesis --rate 50 --count 5000 --answers`."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from rich.console import Console

from scorehouse.access import bearer
from scorehouse.aws import aws_client
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from simulation_business.clients.answers import AnswerReader
from simulation_business.clients.outcomes import OutcomeSender
from simulation_business.clients.scorer import ScorerClient
from simulation_business.clients.sending import CaseSender, wait_for_stream
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

POLL_SECONDS = 0.25  # while nothing is due
READ_SECONDS = 0.5  # between two reads of answers


class StreamTraffic:
    """Sends records in batches, counts the answers that come back, and sends outcomes."""

    def __init__(
        self,
        sender: CaseSender,
        answers: AnswerReader | None,
        outcomes: OutcomeSender,
        tally: Tally,
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], bool],
    ):
        """`sleep` waits the given seconds; it returns early, with true, when the traffic should end."""
        self._sender = sender
        self._answers = answers
        self._outcomes = outcomes
        self._tally = tally
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self._sent_at: dict[str, float] = {}
        self._read_at = clock()

    def run(self, cases: Iterator[Case], patience: float, show: Callable[[], None]) -> None:
        """Send all `cases`. Then wait up to `patience` seconds for answers, and until all outcomes are sent."""
        while not self._sleep(0):
            self._poll(show)
            if not (due := self._pace.take(self._sender.most)):
                self._sleep(min(self._pace.wait(), POLL_SECONDS))
            elif not (batch := list(islice(cases, due))):
                break
            else:
                self._send(batch)
        ends = self._clock() + patience
        while (self._sent_at and self._clock() < ends) or len(self._outcomes):
            if self._sleep(POLL_SECONDS):
                break
            self._poll(show)
        if self._answers is not None:
            self._tally.add("without an answer", len(self._sent_at))

    def _send(self, batch: list[Case]) -> None:
        began = self._clock()
        self._tally.add("sent", len(batch))
        for case in self._sender.send(batch):
            if self._answers is not None:
                self._sent_at[case.prediction_id] = began
            if case.fault is None:  # a record that cannot be scored will have no prediction
                self._outcomes.schedule(case)

    def _poll(self, show: Callable[[], None]) -> None:
        show()
        self._outcomes.send_due()
        if self._answers is None or self._clock() < self._read_at:
            return
        self._read_at = self._clock() + READ_SECONDS
        for prediction_id, answered in self._answers.read():
            sent_at = self._sent_at.pop(prediction_id, None)
            if sent_at is None:
                self._tally.add("answered again")
                continue
            self._tally.add("answered" if answered else "rejected")
            self._tally.add_wait(self._clock() - sent_at)


def main() -> int:
    """Run until --count is reached or a signal comes. Return 0, or 1 if nothing could be sent or no answer came."""
    p = make_parser("kinesis", 50.0, __doc__)
    p.add_argument("--answers", action="store_true", help="read the results and count the answers")
    p.add_argument(
        "--answers-within", type=float, default=30.0, metavar="SECONDS", help="how long to wait for answers (30)"
    )
    options = p.parse_args()
    settings = settings_or_exit()
    stop = stop_on_signals()
    rng = random.Random()  # noqa: S311 - jitter is not secret
    tally = Tally(random.Random())  # noqa: S311
    client: Any = aws_client("kinesis", settings.kinesis_address, settings.aws_default_region)
    address = f"http://{settings.serve_address}:{settings.scorer_port}"
    scorer = ScorerClient(address, stop.wait, rng.random, headers=bearer(settings))
    predictions = settings.predictions_stream_name
    answer_streams = (settings.results_stream_name, settings.errors_stream_name)
    pace = Pace(options.rate, time.monotonic)
    began = time.monotonic()
    sender = CaseSender(client, predictions, tally, time.monotonic, stop.wait, rng.random)
    outcomes = OutcomeSender(scorer, options.outcomes_after, tally, time.monotonic)
    try:
        cases = islice(make_cases(options, settings, rng, wrap=True), options.count)
        for stream in (predictions, *(answer_streams if options.answers else ())):
            wait_for_stream(client, stream, options.ready_within, time.monotonic, stop.wait)
        answers = AnswerReader(client, *answer_streams, options.seed) if options.answers else None
        traffic = StreamTraffic(sender, answers, outcomes, tally, pace, time.monotonic, stop.wait)
        with progress(Console(stderr=True), "stream traffic", options.count, tally, time.monotonic) as show:
            traffic.run(cases, options.answers_within, show)
    except NothingToSend as reason:
        return wait_for_nothing(reason, options, stop)
    except ScorehouseError as error:
        sys.exit(f"simulation: {error}")
    tally.add("outcomes not yet due", len(outcomes))
    print_summary(options, f"Stream traffic for {settings.use_case}", tally, time.monotonic() - began)
    good = tally["answered"] + tally["rejected"] if options.answers else tally["sent"] - tally["failed"]
    return 0 if good or not tally["sent"] else 1


if __name__ == "__main__":
    sys.exit(main())
