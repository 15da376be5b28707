"""The nightly batch against real servers: killed half way and run again, from a bucket, and over a Dask cluster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scorehouse.aws import aws_client
from scorehouse.pages.loading import load_use_case
from tests import toy as toys
from tests.engines import ministack
from tests.servers import Server
from tests.toy import HOST, ROOT, Toy, free_port, until

DAY, ROWS = "2026-11-20", 120_000


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return toys.train(tmp_path_factory.mktemp("claims") / "bundle", use_case="claims")


@pytest.fixture(scope="module")
def environ(toy: Toy, training_environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    data = tmp_path_factory.mktemp("data")
    return {
        **training_environ,
        "USE_CASE": "claims",
        "DATA_FOLDER": str(data),
        "RUN_ID": toys.cache_in(data, toy),
        "MLFLOW_ADDRESS": f"http://{HOST}:9",  # the discard port: the bundle is in the cache
    }


@pytest.fixture(scope="module")
def applications() -> pd.DataFrame:
    table = pd.DataFrame(load_use_case("claims").sample(ROWS, 5, 0.0)).drop(columns=["", "claim_status"])
    table.insert(0, "application", np.arange(ROWS))
    table.loc[[17, 60_000], "location"] = "?"
    return table


def batch(environ: dict[str, str], folder: str, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "model_orchestration.batch", DAY]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environ, "BATCH_FOLDER": folder, **more}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def done(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-4000:]
    return said


@pytest.fixture(scope="module")
def folder(applications: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("batch")
    (root / "in").mkdir()
    applications.to_parquet(root / "in" / f"{DAY}.parquet")
    return root


def answers(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return pd.read_parquet(root / f"out/{DAY}.parquet"), pd.read_parquet(root / f"out/{DAY}.rejected.parquet")


def test_a_batch_that_is_killed_half_way_and_run_again_is_one_complete_file(
    folder: Path, environ: dict[str, str], applications: pd.DataFrame, toy: Toy
) -> None:
    killed = batch(environ, str(folder))
    half = folder / "out" / f".{DAY}" / "scored.parquet"
    until(lambda: half.exists() and half.stat().st_size > 100_000, 120, "the first chunk is written")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=20)
    assert sorted(p.name for p in (folder / "out").iterdir()) == [f".{DAY}"]

    said = done(batch(environ, str(folder)))
    assert f"{DAY}: 120,000 rows" in said
    assert "location: 2 rows, row 18 is not allowed" in said, said
    scored, rejected = answers(folder)
    assert sorted(p.name for p in (folder / "out").iterdir()) == [f"{DAY}.parquet", f"{DAY}.rejected.parquet"]
    assert list(rejected["application"]) == list(rejected["row"]) == [17, 60_000]
    assert list(scored["application"]) == [i for i in range(ROWS) if i not in {17, 60_000}]
    some = applications.loc[[0, 1, 99_999]].drop(columns=["application", "application_date"])
    names = {f.name for f in toy.use_case.features}
    records = [{k: v for k, v in row.items() if k in names} for row in some.to_dict("records")]
    expected = toy.bundle().scorer(toy.use_case).score(records)
    found = scored.set_index("application").loc[[0, 1, 99_999], "claim_probability"]
    assert list(found) == expected


def test_a_dask_cluster_gives_the_same_file(folder: Path, environ: dict[str, str], tmp_path: Path) -> None:
    done(batch(environ, str(folder)))
    alone = [(folder / name).read_bytes() for name in (f"out/{DAY}.parquet", f"out/{DAY}.rejected.parquet")]
    with cluster(tmp_path, environ) as address:
        done(batch(environ, str(folder), DASK_SCHEDULER_ADDRESS=address))
    spread = [(folder / name).read_bytes() for name in (f"out/{DAY}.parquet", f"out/{DAY}.rejected.parquet")]
    assert spread == alone


def test_a_scheduler_that_is_not_there_is_named(folder: Path, environ: dict[str, str]) -> None:
    address = f"tcp://{HOST}:{free_port()}"
    process = batch(environ, str(folder), DASK_SCHEDULER_ADDRESS=address)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert f"DASK_SCHEDULER_ADDRESS='{address}': no Dask scheduler is responding there" in errors


def test_a_day_comes_from_a_bucket_and_its_answers_go_there(
    environ: dict[str, str], applications: pd.DataFrame, tmp_path: Path
) -> None:
    with ministack(tmp_path / "engine").running() as engine:
        s3 = aws_client("s3", engine.address, "us-east-1")
        s3.create_bucket(Bucket="night")
        body = applications[:1200].to_csv(index=False).encode()
        s3.put_object(Bucket="night", Key=f"claims/in/{DAY}.csv", Body=body)
        s3_environ = {**environ, "S3_ADDRESS": engine.address, "AWS_DEFAULT_REGION": "us-east-1"}
        said = done(batch(s3_environ, "s3://night/claims"))
        assert f"-> s3://night/claims/out/{DAY}.parquet" in said
        listed = s3.list_objects_v2(Bucket="night", Prefix="claims/out/")["Contents"]
        assert sorted(o["Key"] for o in listed) == [f"claims/out/{DAY}.parquet", f"claims/out/{DAY}.rejected.parquet"]
        (tmp_path / "out").mkdir()
        for name in (f"out/{DAY}.parquet", f"out/{DAY}.rejected.parquet"):
            (tmp_path / name).write_bytes(s3.get_object(Bucket="night", Key=f"claims/{name}")["Body"].read())
        scored, rejected = answers(tmp_path)
        assert (len(scored), len(rejected)) == (1199, 1)


@contextmanager
def cluster(folder: Path, environ: dict[str, str]) -> Iterator[str]:
    """A Dask scheduler and two workers of one thread each."""
    address, python = f"tcp://{HOST}:{free_port()}", [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    own = {**environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    host, port = address.removeprefix("tcp://").split(":")
    scheduler = Server(
        [*python, "--host", host, "--port", port, "--no-dashboard"], address, folder / "scheduler.log", own
    )
    workers = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nworkers", "2", "--nthreads", "1"]
    with scheduler.running(), (folder / "workers.log").open("wb") as log:
        process = subprocess.Popen(
            [*workers, "--no-dashboard", "--local-directory", str(folder)],
            cwd=ROOT, env={**os.environ, **own}, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            said = folder / "workers.log"
            until(lambda: said.read_text().count("Registered to") >= 2, 60, "two workers are there")
            yield address
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
