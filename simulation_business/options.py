"""What both simulators are told on the command line, and the traffic that follows from it."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Event

import orjson
from rich.console import Console

from scorehouse.errors import SettingError
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase, load_use_case
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import INVALID_SHARE, NO_DRIFT, Case, Drift, Row, cases, generated, of_table

DRIFT_OVER = 2_000  # records over which drift grows, unless --drift-over says otherwise


def parser(what: str, rate: float, about: str) -> argparse.ArgumentParser:
    """Return the parser of the options that both simulators have; `rate` is the default."""
    p = argparse.ArgumentParser(prog=f"python -m simulation_business.{what}", description=about, allow_abbrev=False)
    p.add_argument("--rate", type=_positive, default=rate, help=f"records a second ({rate:g})")
    p.add_argument("--count", type=_count, help="records in all; without it until SIGTERM or Ctrl-C")
    p.add_argument("--profile", choices=("usual", "invalid", "drift"), default="usual", help="what is sent (usual)")
    p.add_argument(
        "--drift-after", type=str, default="0", metavar="N", help="drift begins after N records, or Ns seconds"
    )
    p.add_argument("--drift-over", type=str, metavar="N", help=f"and grows for N records, or Ns seconds ({DRIFT_OVER})")
    p.add_argument(
        "--required-only", type=_share, default=0.3, metavar="SHARE", help="records without optional fields (0.3)"
    )
    p.add_argument("--data", type=Path, help="a raw table to send instead of the use case's own sample")
    p.add_argument("--seed", type=_count, help="the same seed sends the same records; by default each run has its own")
    p.add_argument(
        "--outcomes-after", type=_positive, metavar="SECONDS", help="send what really happened so much later"
    )
    p.add_argument(
        "--ready-within", type=_positive, default=120.0, metavar="SECONDS", help="to wait at the start (120)"
    )
    p.add_argument("--json", action="store_true", help="the closing summary as one JSON object")
    return p


def say(options: argparse.Namespace, what: str, tally: Tally, seconds: float) -> None:
    """Print the closing summary."""
    if options.json:
        sys.stdout.write(orjson.dumps(tally.to_json(seconds)).decode() + "\n")
    else:
        Console().print(tally.table(f"{what}, {options.profile}, seed {options.seed}", seconds))


def traffic(options: argparse.Namespace, settings: Settings, random: Random, wrap: bool = False) -> Iterator[Case]:
    """Return the cases that `options` ask for, and set `options.seed` where it was not given.

    Raises:
        SettingError: options contradict each other. TableError, UseCaseError: as their makers say.
    """
    use_case = load_use_case(settings.use_case)
    if options.seed is None:
        options.seed = random.randrange(1, 2**31)
    business = _business(options, use_case)
    invalid = INVALID_SHARE if options.profile == "invalid" else 0.0
    return cases(use_case, business, options.seed, invalid, options.required_only, wrap)


def stop_on_signals() -> Event:
    """Return an event that the first SIGTERM or Ctrl-C sets; the second Ctrl-C ends the process at once."""
    stop = Event()

    def on_signal(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, on_signal)
    return stop


def _business(options: argparse.Namespace, use_case: UseCase) -> Iterator[Row]:
    if options.data is not None:
        if options.profile == "drift":
            raise SettingError("--profile drift needs the use case's own sample: leave --data out")
        return of_table(use_case, options.data, Random(options.seed))  # noqa: S311
    if options.profile != "drift":
        return generated(use_case, options.seed, NO_DRIFT)
    after = _records(options.drift_after, options.rate, "--drift-after")
    over = DRIFT_OVER if options.drift_over is None else _records(options.drift_over, options.rate, "--drift-over")
    return generated(use_case, options.seed, Drift(after, max(over, 1)))


def _records(text: str, rate: float, name: str) -> int:
    """Records, or seconds at `rate` where the text ends with s: drift follows the records, so that runs repeat."""
    number, per = (text[:-1], rate) if text.endswith("s") else (text, 1.0)
    try:
        return int(float(number) * per)
    except ValueError as error:
        raise SettingError(f"{name} {text}: say 5000 for records, or 60s for seconds") from error


def _positive(text: str) -> float:
    if (value := float(text)) <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _share(text: str) -> float:
    if not 0 <= (value := float(text)) <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value
