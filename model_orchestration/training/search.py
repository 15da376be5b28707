"""The search for good parameters, by hyperopt's TPE (tree-structured Parzen estimator), two trials at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hyperopt import STATUS_OK, Domain, Trials, hp, space_eval, tpe
from hyperopt.base import JOB_STATE_DONE

from scorehouse.usecase import Estimator, Range

AT_A_TIME = 2
AVERAGED = 5  # of so many trials, at most one is averaged with others
Found = tuple[dict[str, Any], dict[str, float], float]  # parameters to fit the model again, figures, loss
Fit = Callable[[Estimator, dict[str, Any]], Found]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: its parameters, its figures on rows that it did not learn from, and the loss that ranks it.

    `parameters` are everything that is needed to fit its model again. `others` are the trials whose models are averaged
    with its own.
    """

    number: int
    estimator: Estimator
    parameters: dict[str, Any]
    figures: dict[str, float]
    loss: float
    others: tuple[Trial, ...] = ()


def rank(trials: list[Trial]) -> list[Trial]:
    """Return the trials, best first, each with the next best ones with which its estimator averages it.

    At most a fifth of all trials are averaged: the third best of five is no good one.
    """
    ranked = sorted(trials, key=lambda t: t.loss)
    most = max(1, len(trials) // AVERAGED)
    return [
        replace(trial, others=tuple(_like(trial, ranked[place + 1 :])[: min(trial.estimator.average, most) - 1]))
        for place, trial in enumerate(ranked)
    ]


def _like(trial: Trial, trials: list[Trial]) -> list[Trial]:
    return [other for other in trials if other.estimator == trial.estimator]


def search(estimators: tuple[Estimator, ...], fit: Fit, trials: int, seed: int) -> Iterator[Trial]:
    """Yield `trials` trials in the order of their numbers. TPE searches the spaces of all estimators as one space.

    The same seed proposes the same trials, whichever of two ends first: TPE gets the results in the order of their
    numbers, and each proposal knows exactly the trials up to `AT_A_TIME` before it.
    """
    space = hp.choice("estimator", [{"estimator": i, **_space(i, e)} for i, e in enumerate(estimators)])
    known = Trials()
    rng = np.random.default_rng(seed)
    domain = Domain(lambda _: 0.0, space)
    running: deque[tuple[Future[Found], dict[str, Any], Estimator]] = deque()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for number in range(trials + AT_A_TIME):
            if len(running) == AT_A_TIME or (running and number >= trials):
                oldest, document, estimator = running.popleft()
                yield _finish(known, document, estimator, *oldest.result())
            if number < trials:
                document = tpe.suggest(known.new_trial_ids(1), domain, known, int(rng.integers(2**31 - 1)))[0]
                chosen = space_eval(space, {k: v[0] for k, v in document["misc"]["vals"].items() if v})
                estimator = estimators[chosen.pop("estimator")]
                future = pool.submit(fit, estimator, _cast_integers(estimator, chosen))
                running.append((future, document, estimator))


def _finish(
    known: Trials,
    document: dict[str, Any],
    estimator: Estimator,
    parameters: dict[str, Any],
    figures: dict[str, float],
    loss: float,
) -> Trial:
    document.update(state=JOB_STATE_DONE, result={"status": STATUS_OK, "loss": loss})
    known.insert_trial_doc(document)
    known.refresh()
    return Trial(int(document["tid"]), estimator, parameters, figures, loss)


def _space(position: int, estimator: Estimator) -> dict[str, Any]:
    return {name: _dimension(f"{position}.{name}", d) for name, d in estimator.space.items()}


def _dimension(label: str, dimension: Any) -> Any:
    if not isinstance(dimension, Range):
        return hp.choice(label, list(dimension.options))
    low, high = dimension.low, dimension.high
    if dimension.log:
        low, high = np.log(low), np.log(high)
        return hp.qloguniform(label, low, high, 1) if dimension.integer else hp.loguniform(label, low, high)
    return hp.quniform(label, low, high, 1) if dimension.integer else hp.uniform(label, low, high)


def _cast_integers(estimator: Estimator, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with whole numbers as int, because quniform yields floats."""
    whole = {n for n, d in estimator.space.items() if isinstance(d, Range) and d.integer}
    return {name: int(value) if name in whole else value for name, value in chosen.items()}
