"""One way to make a client of AWS or of its emulators; the stream door has a tuned one of its own."""

from __future__ import annotations

from typing import Any

from botocore.config import Config
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, PartialCredentialsError
from botocore.session import Session

TRIES = 3  # of one call, by botocore itself


def aws_client(service: str, address: str, region: str | None = None) -> Any:
    """Return a client of AWS's `service`, or of the emulator at `address` if that is not empty. Nothing connects yet.

    Every call is bounded: 3 s to connect, 20 s to answer, three tries. Buckets are named in the path, because
    an emulator has no name server. An emulator accepts any credentials, so none need to be set for it.
    """
    session = Session()
    if address and session.get_credentials() is None:
        session.set_credentials("test", "test")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": TRIES},
        connect_timeout=3,
        read_timeout=20,
        s3={"addressing_style": "path"} if address else None,
    )
    return session.create_client(service, region_name=region, endpoint_url=address or None, config=config)


def advice(error: Exception) -> str:
    """Return what to do about an error of botocore, to append to its words; empty if they say it."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return ": set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (an emulator takes any, such as test)"
    if isinstance(error, EndpointConnectionError):
        return ": check KINESIS_ADDRESS and S3_ADDRESS, or start the emulator"
    return ""
