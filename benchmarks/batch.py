"""`make bench-batch`: time and memory of scoring ten million applications, alone and with two Dask workers.

Prints seconds and memory of the whole command, `python -m model_orchestration.batch`, on the sample of claims. The exit
status is 1 when a target is missed: under 2 GB; two workers of one thread are at least 1.3 times as fast and write the
same file.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from scorehouse.pages.loading import load_use_case
from tests import servers, toy
from tests.processes import HOST, NOBODY, PYTHONPATH, ROOT, free_port, until
from tests.servers import Server

DAY, PIECE = "2026-11-20", 100_000
ROUNDS = 3  # the figure is the median of their ratios, because both runs of a pair see the same noise
console = Console(highlight=False)


def write(file: Path, rows: int) -> None:
    """Write a day's applications: the sample of claims again and again, each row with its own number."""
    table = pa.Table.from_pandas(
        pd.DataFrame(load_use_case("claims").sample(PIECE, 7, 0.0)).drop(columns=["", "claim_status"])
    )
    with pq.ParquetWriter(file, table.schema.insert(0, pa.field("application", pa.int64()))) as writer:
        for start in range(0, rows, PIECE):
            numbers = pa.array(np.arange(start, start + PIECE))
            writer.write_table(table.add_column(0, "application", numbers).slice(0, min(PIECE, rows - start)))


def run(environ: dict[str, str], folder: Path, **more: str) -> tuple[float, float, str]:
    """Return the seconds and gigabytes of one batch, and the digest of its answers."""
    command = [sys.executable, "-m", "model_orchestration.batch", DAY]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environ, "BATCH_FOLDER": str(folder), **more},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the batch ended with {process.returncode}")
    digest = hashlib.sha256((folder / f"out/{DAY}.parquet").read_bytes()).hexdigest()
    return time.perf_counter() - began, used.ru_maxrss / 2**20, digest


@contextmanager
def cluster(folder: Path, environ: dict[str, str]) -> Iterator[str]:
    """A Dask scheduler and two workers of one thread each."""
    port = free_port()
    address = f"tcp://{HOST}:{port}"
    own = {**environ, "PYTHONPATH": PYTHONPATH, "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}  # docs/batch.md
    start = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", HOST, "--port", str(port)]
    scheduler = Server([*start, "--no-dashboard"], address, folder / "scheduler.log", own)
    log = folder / "workers.log"
    work = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nworkers", "2", "--nthreads", "1"]
    workers = Server([*work, "--no-dashboard", "--local-directory", str(folder)], address, log, own)
    with scheduler.running(), workers.running():
        until(lambda: log.read_text().count("Registered to") >= 2, 60, "two workers are registered")
        yield address


def main() -> int:
    """Measure, print, and return 0 when the targets are met."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=10_000_000, help="rows of the run whose memory is measured")
    arguments.add_argument(
        "--shared", type=int, default=3_000_000, help="rows of the runs that are compared, 0 for none"
    )
    wanted = arguments.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    met = True
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        claims = toy.train(root / "bundle", use_case="claims")
        environ = {"USE_CASE": "claims", "DATA_FOLDER": str(root), "RUN_ID": toy.cache_in(root, claims)}
        environ["MLFLOW_ADDRESS"] = NOBODY
        with servers.prefect(root / "prefect").running() as server:
            environ |= {"PREFECT_API_URL": f"{server.address}/api", "PREFECT_HOME": str(root / "prefect")}
            if wanted.shared:
                met = compare(root / "shared", wanted.shared, environ)
            if wanted.rows:
                (root / "whole" / "in").mkdir(parents=True)
                write(root / "whole" / "in" / f"{DAY}.parquet", wanted.rows)
                seconds, gigabytes, _ = run(environ, root / "whole")
                met &= gigabytes < 2
                used = f"{wanted.rows:,} rows in {seconds:.0f} s and {gigabytes:.2f} GB (under 2)"
                console.print(f"{'✓' if gigabytes < 2 else '✗'} {used}")
    return 0 if met else 1


def compare(folder: Path, rows: int, environ: dict[str, str]) -> bool:
    """Measure one process and two workers in turn; return whether the workers are fast enough and write the same."""
    (folder / "in").mkdir(parents=True)
    write(folder / "in" / f"{DAY}.parquet", rows)
    alone, spread = [], []
    with cluster(folder, environ) as address:
        for _ in range(ROUNDS):
            alone.append(run(environ, folder))
            spread.append(run(environ, folder, DASK_SCHEDULER_ADDRESS=address))
            console.print(f"{rows:,} rows: one process {alone[-1][0]:.1f} s, two workers {spread[-1][0]:.1f} s")
    times = statistics.median(a / s for (a, *_), (s, *_) in zip(alone, spread, strict=True))
    same = len({digest for _, _, digest in (*alone, *spread)}) == 1
    console.print(f"{'✓' if times >= 1.3 else '✗'} two workers are {times:.2f} times as fast (at least 1.3)")
    console.print(f"{'✓' if same else '✗'} the same file, byte by byte")
    return times >= 1.3 and same


if __name__ == "__main__":
    sys.exit(main())
