"""The command-line options of both simulators, and the traffic that they ask for."""

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

from scorehouse.errors import ScorehouseError, SettingError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase
from simulation_business.traffic.shift import NothingShifts, describe
from simulation_business.traffic.table import read_real_table
from simulation_business.traffic.tally import Tally
from simulation_business.traffic.traffic import (
    INVALID_SHARE,
    NO_DRIFT,
    Case,
    Drift,
    Row,
    generate_rows,
    read_rows,
    to_cases,
)

BARE_SHARE = 0.3  # of the records, unless --required-only is given
DRIFT_OVER = 2_000  # records over which drift grows, unless --drift-over is given
STOP_SECONDS = 10  # from a signal until the process ends whatever it does


class NothingToSend(ScorehouseError):
    """The use case has neither a table nor a sample, or no feature that could drift. This is no failure."""


def make_parser(what: str, rate: float, about: str) -> argparse.ArgumentParser:
    """Return the parser for the options of both simulators. `rate` is the default rate."""
    p = argparse.ArgumentParser(prog=f"python -m simulation_business.{what}", description=about, allow_abbrev=False)
    p.add_argument("--rate", type=_positive, default=rate, help=f"records per second ({rate:g})")
    p.add_argument("--count", type=_count, help="how many records to send; without it, send until SIGTERM or Ctrl-C")
    p.add_argument("--profile", choices=("usual", "invalid", "drift"), default="usual", help="what to send (usual)")
    p.add_argument(
        "--drift-after",
        type=str,
        default="0",
        metavar="N",
        help="start drifting after N records, or after N seconds as in 60s (0)",
    )
    p.add_argument(
        "--drift-over",
        type=str,
        metavar="N",
        help=f"let the drift grow for N records, or seconds as in 60s ({DRIFT_OVER})",
    )
    p.add_argument(
        "--required-only",
        type=_share,
        metavar="SHARE",
        help=f"share of records without optional fields, 0 to 1 ({BARE_SHARE}; 0 with a table and no mask_optional)",
    )
    p.add_argument("--data", type=Path, help="send all rows of this raw table, instead of what DATA or the page names")
    p.add_argument(
        "--keep-running",
        action="store_true",
        help="if there is nothing to send, wait for SIGTERM, so that no supervisor starts the process again",
    )
    p.add_argument(
        "--seed", type=_count, help="the same seed sends the same records; by default each run chooses a new one"
    )
    p.add_argument(
        "--outcomes-after",
        type=_positive,
        metavar="SECONDS",
        help="send the outcome of each record this much later; without it, send none",
    )
    p.add_argument(
        "--ready-within",
        type=_positive,
        default=120.0,
        metavar="SECONDS",
        help="how long to wait for the scorer or stream at the start (120)",
    )
    p.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return p


def print_summary(options: argparse.Namespace, what: str, tally: Tally, seconds: float) -> None:
    """Print what was sent and what happened to it."""
    if options.json:
        sys.stdout.write(orjson.dumps({**tally.to_json(seconds), **options.about}).decode() + "\n")
    else:
        console = Console()
        console.print(tally.to_table(f"{what}, {options.profile}, seed {options.seed}", seconds))
        for name, words in options.about.items():
            console.print(f"{name}: {words}", highlight=False, markup=False)


def make_cases(options: argparse.Namespace, settings: Settings, random: Random, wrap: bool = False) -> Iterator[Case]:
    """Return the cases that `options` ask for. Set `options.about`, what is sent, and a seed if none was given.

    Raises:
        SettingError: options contradict each other.
        TableError: the table cannot be read.
        ConfigurationError: the config.json next to it, which may name the seed of the split, has a fault.
        UseCaseError: the use case does not exist, or its page has a fault.
        NothingToSend: there is neither a table nor a sample, or nothing that could drift.
    """
    use_case = load_use_case(settings.use_case)
    if options.seed is None:
        options.seed = random.randrange(1, 2**31)
    rows, is_real = _rows(options, use_case, settings)
    invalid = INVALID_SHARE if options.profile == "invalid" else 0.0
    bare = options.required_only
    if bare is None:  # a model that was not trained for short records would look worse than it is
        bare = 0.0 if is_real and not use_case.mask_optional else BARE_SHARE
    return to_cases(use_case, rows, options.seed, invalid, bare, wrap)


def stop_on_signals() -> Event:
    """Return an event that the first SIGTERM or Ctrl-C sets. A second one ends the process at once.

    So does the kernel after STOP_SECONDS, because a page's `sample` or `clean` may take forever.
    """
    stop = Event()

    def on_signal(*_: object) -> None:
        stop.set()
        signal.alarm(STOP_SECONDS)
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, signal.SIG_DFL)

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, on_signal)
    return stop


def wait_for_nothing(reason: NothingToSend, options: argparse.Namespace, stop: Event) -> int:
    """Say on standard error why nothing is sent. With --keep-running, wait for the signal. Return the status, 0."""
    sys.stderr.write(f"simulation: {reason}\n")
    if options.keep_running:
        stop.wait()
    return 0


def _rows(options: argparse.Namespace, use_case: UseCase, settings: Settings) -> tuple[Iterator[Row], bool]:
    """Return what is sent, and whether it is made of a table."""
    options.about = {}
    drift = _drift(options)
    if options.data is not None:
        if drift is not NO_DRIFT:
            raise SettingError("--profile drift sends all rows of no table: leave out --data, or set DATA instead")
        return read_rows(use_case, options.data, Random(options.seed)), True  # noqa: S311
    if (real := read_real_table(use_case, settings)) is not None:
        options.about["rows"] = real.about
        try:
            shifted = real.shifts() if drift is not NO_DRIFT else ()
        except NothingShifts as reason:
            raise NothingToSend(str(reason)) from reason
        if shifted:
            options.about["drift"] = describe(shifted)
        return real.rows(options.seed, drift, shifted), True
    if use_case.sample is None:
        raise NothingToSend(f"{use_case.name} has no table and no sample, so nothing is sent: set DATA to your table")
    return generate_rows(use_case, options.seed, drift), False


def _drift(options: argparse.Namespace) -> Drift:
    if options.profile != "drift":
        return NO_DRIFT
    after = _to_records(options.drift_after, options.rate, "--drift-after")
    over = DRIFT_OVER if options.drift_over is None else _to_records(options.drift_over, options.rate, "--drift-over")
    return Drift(after, max(over, 1))


def _to_records(text: str, rate: float, name: str) -> int:
    """Return a number of records. Seconds ("60s") become records at `rate`, so that a run can be repeated exactly."""
    number, per = (text[:-1], rate) if text.endswith("s") else (text, 1.0)
    try:
        return int(float(number) * per)
    except ValueError as error:
        raise SettingError(f"{name} {text} is not a number: write 5000 for records, or 60s for seconds") from error


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
