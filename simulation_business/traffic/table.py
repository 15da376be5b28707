"""Traffic from a use case's real table: rows that training never saw, or new ones where these are too few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_orchestration.tables.outcomes import read_own_rows
from model_orchestration.tables.training_table import TEST, TrainingTable, split_rows
from model_orchestration.training.configuration import tune_run
from scorehouse.settings import Settings
from scorehouse.usecase import UseCase
from simulation_business.traffic.neighbours import Neighbours
from simulation_business.traffic.shift import Shift, shifts
from simulation_business.traffic.traffic import NO_DRIFT, Drift, Row

ENOUGH = 500  # unseen rows: the monitor compares so many customers at a time, and counts each of them once


@dataclass(frozen=True, slots=True, eq=False)
class RealTable:
    """A use case's table as training reads it. `unseen`, (n,), says which rows are on the test side of the split."""

    use_case: UseCase
    table: TrainingTable
    unseen: NDArray[np.bool_]

    @property
    def is_small(self) -> bool:
        """Whether it has too few unseen rows for a window of the monitor."""
        return int(self.unseen.sum()) < ENOUGH

    @property
    def about(self) -> str:
        """What is sent, in words."""
        count = int(self.unseen.sum())
        source = self.table.source
        if self.is_small:
            return f"new rows made between neighbours in {source}, of which only {count:,} rows were kept from training"
        return f"the {count:,} rows of {source} that training never saw"

    def shifts(self) -> tuple[Shift, ...]:
        """Return what can drift. Raises NothingShifts."""
        return shifts(self.use_case, self.table.records, self.table.truth)

    def rows(self, seed: int, drift: Drift = NO_DRIFT, shifted: Sequence[Shift] = ()) -> Iterator[Row]:
        """Yield rows forever, the same for the same arguments, with the features of `shifted` drifting as `drift` says.

        Unseen rows come in rounds, each time in another order; new ones are made as long as they are asked for.
        """
        for number, row in enumerate(self._made(seed) if self.is_small else self._rounds(seed)):
            strength = drift.at(number)
            record = row.record
            if strength:
                rng = np.random.default_rng([seed, number])
                for shift in shifted:
                    record = shift.apply(record, strength, rng)
            yield Row(record, row.customer_id, row.outcome)

    def _rounds(self, seed: int) -> Iterator[Row]:
        places = np.flatnonzero(self.unseen)
        rng = np.random.default_rng([seed, 1])
        own_key = not self.use_case.key
        while True:
            for place in rng.permutation(places):
                customer = f"row-{place + 1}" if own_key else self.table.keys[place]
                yield Row(self.table.records[place], customer, float(self.table.truth[place]))

    def _made(self, seed: int) -> Iterator[Row]:
        neighbours = Neighbours.of(self.use_case.features, self.table.records, self.table.truth)
        rng = np.random.default_rng([seed, 2])
        number = 0
        while True:
            number += 1
            record, outcome = neighbours.make(rng)
            yield Row(record, f"made-{seed}-{number}", outcome)


def read_real_table(use_case: UseCase, settings: Settings) -> RealTable | None:
    """Return the table that DATA or the page names, read, cleaned and split as training does it; None without one.

    Raises:
        TableError: it cannot be read, or a row has a fault.
        ConfigurationError: the config.json next to it, which may name the seed of the split, has a fault.
    """
    if not use_case.table_at(settings.data):
        return None
    settings = tune_run(use_case, settings).settings
    table = read_own_rows(use_case, settings)
    return RealTable(use_case, table, split_rows(table, use_case, settings.split_seed) == TEST)
