"""Creates bucket and streams in AWS or an emulator, and uploads the training table: `make init_aws`.

May be run again: it says what was there already and changes nothing of it.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from model_orchestration.tables.training_table import read_table
from scorehouse.aws import aws_client
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.settings import Settings
from scorehouse.streams.publisher import MISSING, code_of
from scorehouse.usecase import UseCase, load_use_case

PATIENCE_SECONDS, LOOK_SECONDS = 60.0, 0.2  # until a new stream is active: half a minute on AWS
FIRST_REGION = "us-east-1"  # the only one that a bucket may not name
_NO_BUCKET, _NO_OBJECT = {"404", "NoSuchBucket"}, {"404", "NoSuchKey"}
Row = tuple[str, str, str]  # kind, name, what became of it


class NotMade(ScorehouseError):
    """Something could not be created; what was made before stays, and the next run goes on from there."""


def make_bucket(s3: Any, name: str, region: str) -> Row:
    """Make the bucket `name` where it is missing. Raises ClientError where it belongs to somebody else."""
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if code_of(error) not in _NO_BUCKET:
            raise
        where = {} if region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **where)
        return "bucket", name, "created"
    return "bucket", name, "was there"


def make_stream(
    kinesis: Any, name: str, shards: int, clock: Callable[[], float], sleep: Callable[[float], object]
) -> Row:
    """Make the stream `name` where it is missing and return once it is active. Raises NotMade, ClientError."""
    made, ends = False, clock() + PATIENCE_SECONDS
    while True:
        try:
            about = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        except ClientError as error:
            if code_of(error) != MISSING:
                raise
            if not made:
                kinesis.create_stream(StreamName=name, ShardCount=shards)
            made, about = True, {"StreamStatus": "CREATING"}
        if about["StreamStatus"] in {"ACTIVE", "UPDATING"}:
            has = f"{about['OpenShardCount']} shards"
            return "stream", name, f"created, {has}" if made else f"was there, {has}"
        if clock() > ends:
            raise NotMade(f"the stream {name} is {about['StreamStatus']} after {PATIENCE_SECONDS:.0f} s")
        sleep(LOOK_SECONDS)


def upload_table(s3: Any, settings: Settings, use_case: UseCase) -> Row:
    """Put the training table, as CSV, where `DATA` will find it; a sample never takes the place of what is there.

    Raises:
        TableError: DATA names no table.
    """
    table = read_table(settings.data, use_case, settings.s3_address)
    if settings.data.startswith("s3://"):
        return "table", settings.data, f"was there, {len(table):,} rows"
    key = f"{use_case.name}/training.csv"
    address, content = f"s3://{settings.bucket_name}/{key}", table.to_csv(index=False).encode()
    digest = hashlib.sha256(content).hexdigest()
    stored = _stored_digest(s3, settings.bucket_name, key)
    if stored is not None and (stored == digest or not settings.data):
        return "table", address, "was there"
    s3.put_object(
        Bucket=settings.bucket_name, Key=key, Body=content, ContentType="text/csv", Metadata={"sha256": digest}
    )
    source = settings.data or "the generated sample"
    return "table", address, f"{'replaced' if stored is not None else 'uploaded'}: {len(table):,} rows of {source}"


def _stored_digest(s3: Any, bucket: str, key: str) -> str | None:
    """The digest that was stored with an object: empty where another program put it there, None where there is none."""
    try:
        return str(s3.head_object(Bucket=bucket, Key=key)["Metadata"].get("sha256", ""))
    except ClientError as error:
        if code_of(error) in _NO_OBJECT:
            return None
        raise


def init_aws(settings: Settings, clock: Callable[[], float], sleep: Callable[[float], object]) -> list[Row]:
    """Make everything and return what became of each part. Raises NotMade, TableError, and what botocore raises."""
    use_case = load_use_case(settings.use_case)
    region = settings.aws_default_region
    s3 = aws_client("s3", settings.s3_address, region)
    kinesis = aws_client("kinesis", settings.kinesis_address, region)
    streams = (settings.predictions_stream_name, settings.results_stream_name, settings.errors_stream_name)
    return [
        make_bucket(s3, settings.bucket_name, region),
        *(make_stream(kinesis, name, settings.stream_shards, clock, sleep) for name in streams),
        upload_table(s3, settings, use_case),
    ]


def main() -> None:
    """Make everything, and print a table; end with status 1 and one line when it cannot be done."""
    settings = settings_or_exit()
    try:
        rows = init_aws(settings, time.monotonic, time.sleep)
    except (ScorehouseError, BotoCoreError, ClientError) as error:
        sys.exit(f"init_aws: {error}")
    where = settings.kinesis_address or f"AWS, {settings.aws_default_region}"
    table = Table(title=f"in {where}", show_header=False, title_justify="left")
    for _ in range(3):
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, highlight=False)


if __name__ == "__main__":
    main()
