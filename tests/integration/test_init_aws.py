"""make init_aws against an emulator of AWS."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from model_orchestration.init_aws import create_stream, init_aws
from model_orchestration.tables.training_table import read_table
from scorehouse.aws import aws_client
from scorehouse.errors import TableError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from tests.engines import REGION, Engine, ministack
from tests.toy import ROOT

TABLE = "s3://scorehouse/churn/training.csv"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with (engine := ministack(tmp_path_factory.mktemp("ministack"))).running():
        yield engine


def make(engine: Engine, **more: object) -> dict[str, str]:
    settings = Settings(kinesis_address=engine.address, s3_address=engine.address, **more)  # type: ignore[arg-type]
    return {name: became for _, name, became in init_aws(settings, time.monotonic, time.sleep)}


def test_everything_is_made_once_and_a_second_run_says_what_already_exists(engine: Engine):
    assert make(engine, stream_shards=3) == {
        "scorehouse": "created",
        "predictions": "created, shards: 3",
        "results": "created, shards: 3",
        "results-errors": "created, shards: 3",
        TABLE: "uploaded: 10,000 rows of the generated sample",
    }
    assert make(engine, stream_shards=5) == {
        "scorehouse": "already exists",
        "predictions": "already exists, shards: 3",
        "results": "already exists, shards: 3",
        "results-errors": "already exists, shards: 3",
        TABLE: "already exists",
    }


def test_a_table_is_uploaded_as_csv_whatever_it_was_and_training_reads_it(engine: Engine, tmp_path: Path):
    churn = load_use_case("churn")
    table = pd.DataFrame(churn.sample(50, 3, 0.0))
    table.to_csv(tmp_path / "mine.csv.gz", sep=";", index=False)
    mine = {"data": str(tmp_path / "mine.csv.gz"), "bucket_name": "mine"}
    address = "s3://mine/churn/training.csv"
    assert make(engine, **mine)[address] == f"uploaded: 50 rows of {mine['data']}"
    assert make(engine, **mine)[address] == "already exists"
    pd.testing.assert_frame_equal(read_table(address, churn, engine.address).table, table, check_dtype=False)
    table.head(40).to_csv(mine["data"], index=False)
    assert make(engine, **mine)[address].startswith("replaced: 40 rows")
    assert make(engine, bucket_name="mine")[address] == "already exists", "a sample takes no real table's place"
    assert make(engine, data=address)[address] == "already exists, 40 rows"


def test_a_table_in_a_bucket_that_is_not_there_is_named(engine: Engine):
    with pytest.raises(TableError, match=r"s3://scorehouse/none\.csv"):
        make(engine, data="s3://scorehouse/none.csv")


def test_a_stream_of_another_owner_in_another_region_is_made_beside_it(engine: Engine):
    there = aws_client("kinesis", engine.address, "eu-central-1")
    assert create_stream(there, "elsewhere", 1, time.monotonic, time.sleep)[2] == "created, shards: 1"
    assert "elsewhere" not in aws_client("kinesis", engine.address, REGION).list_streams()["StreamNames"]


def test_the_command_prints_a_table_and_says_in_one_line_what_is_wrong(engine: Engine):
    def command(address: str) -> subprocess.CompletedProcess[str]:
        environ = {"KINESIS_ADDRESS": address, "S3_ADDRESS": address, "BUCKET_NAME": "commanded"}
        return subprocess.run(
            [sys.executable, "-m", "model_orchestration.init_aws"], cwd=ROOT, env={**os.environ, **environ},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    good, bad = command(engine.address), command("http://127.0.0.1:9")
    assert good.returncode == 0, good.stderr
    assert "commanded" in good.stdout
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr.startswith("init_aws: Could not connect")
    assert bad.stderr.count("\n") == 1
