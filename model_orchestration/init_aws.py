"""Creates the bucket and the streams in AWS or an emulator, and uploads the training table: `make init_aws`.

It may be run again: it reports what already exists and does not change it.
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
from scorehouse.aws import advice, aws_client
from scorehouse.environment import settings_or_exit
from scorehouse.errors import ScorehouseError
from scorehouse.pages.loading import load_use_case
from scorehouse.settings import Settings
from scorehouse.streams.publisher import MISSING, code_of
from scorehouse.usecase import UseCase

PATIENCE_SECONDS = 60.0  # until a new stream is active: it takes half a minute on AWS
POLL_SECONDS = 0.2
FIRST_REGION = "us-east-1"  # the only region that create_bucket rejects as a location
_NO_BUCKET = {"404", "NoSuchBucket"}
_NO_OBJECT = {"404", "NoSuchKey"}
Row = tuple[str, str, str]  # kind, name, what was done


class NotCreated(ScorehouseError):
    """Something could not be created. What was created before it stays, and the next run continues from there."""


def create_bucket(s3: Any, name: str, region: str) -> Row:
    """Create the bucket `name` if it is missing. Raises ClientError if it belongs to someone else."""
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if code_of(error) not in _NO_BUCKET:
            raise
        location = {} if region == FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **location)
        return "bucket", name, "created"
    return "bucket", name, "already exists"


def create_stream(
    kinesis: Any, name: str, shards: int, clock: Callable[[], float], sleep: Callable[[float], object]
) -> Row:
    """Create the stream `name` if it is missing, and wait until it is active. Raises NotCreated, ClientError."""
    created = False
    ends = clock() + PATIENCE_SECONDS
    while True:
        try:
            about = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        except ClientError as error:
            if code_of(error) != MISSING:
                raise
            if not created:
                kinesis.create_stream(StreamName=name, ShardCount=shards)
            created = True
            about = {"StreamStatus": "CREATING"}
        if about["StreamStatus"] in {"ACTIVE", "UPDATING"}:
            done = "created" if created else "already exists"
            return "stream", name, f"{done}, shards: {about['OpenShardCount']}"
        if clock() > ends:
            raise NotCreated(
                f"the stream {name} is still {about['StreamStatus']} after {PATIENCE_SECONDS:.0f} s: "
                "run `make init_aws` again"
            )
        sleep(POLL_SECONDS)


def upload_table(s3: Any, settings: Settings, use_case: UseCase) -> Row:
    """Upload the training table as CSV to the place where containers read it. A sample never replaces what is there.

    Raises:
        TableError: there is no table where DATA or the page says.
    """
    named = use_case.table_at(settings.data)
    table = read_table(named, use_case, settings.s3_address).table
    if named.startswith("s3://"):
        return "table", named, f"already exists, {len(table):,} rows"
    key = f"{use_case.name}/training.csv"
    address = f"s3://{settings.bucket_name}/{key}"
    content = table.to_csv(index=False).encode()
    digest = hashlib.sha256(content).hexdigest()
    stored = _stored_digest(s3, settings.bucket_name, key)
    if stored is not None and (stored == digest or not named):
        return "table", address, "already exists"
    s3.put_object(
        Bucket=settings.bucket_name, Key=key, Body=content, ContentType="text/csv", Metadata={"sha256": digest}
    )
    source = named or "the generated sample"
    return "table", address, f"{'replaced' if stored is not None else 'uploaded'}: {len(table):,} rows of {source}"


def _stored_digest(s3: Any, bucket: str, key: str) -> str | None:
    """Return the digest stored with an object: empty if another program stored it, None if there is no object."""
    try:
        return str(s3.head_object(Bucket=bucket, Key=key)["Metadata"].get("sha256", ""))
    except ClientError as error:
        if code_of(error) in _NO_OBJECT:
            return None
        raise


def init_aws(settings: Settings, clock: Callable[[], float], sleep: Callable[[float], object]) -> list[Row]:
    """Create everything and return what was done. Raises NotCreated, TableError, and what botocore raises."""
    use_case = load_use_case(settings.use_case)
    region = settings.aws_default_region
    s3 = aws_client("s3", settings.s3_address, region)
    kinesis = aws_client("kinesis", settings.kinesis_address, region)
    streams = (settings.predictions_stream_name, settings.results_stream_name, settings.errors_stream_name)
    return [
        create_bucket(s3, settings.bucket_name, region),
        *(create_stream(kinesis, name, settings.stream_shards, clock, sleep) for name in streams),
        upload_table(s3, settings, use_case),
    ]


def main() -> None:
    """Create everything and print a table. If that fails, end with status 1 and one line that says why."""
    settings = settings_or_exit()
    try:
        rows = init_aws(settings, time.monotonic, time.sleep)
    except (ScorehouseError, BotoCoreError, ClientError) as error:
        sys.exit(f"init_aws: {error}{advice(error)}")
    where = settings.kinesis_address or f"AWS, {settings.aws_default_region}"
    table = Table(title=f"in {where}", show_header=False, title_justify="left")
    for _ in range(3):
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, highlight=False)


if __name__ == "__main__":
    main()
