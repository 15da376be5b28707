"""A Kinesis client that is tuned for a stream of small records."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config


def kinesis_client(address: str, region: str) -> Any:
    """Return a client of AWS's Kinesis, or of the one at `address` if that is not empty.

    Arrival times stay numbers, as on the wire, because parsing them took two thirds of a read. Parameters are not
    validated, because that took a third of a put. A call is tried three times before the loop waits and tries again.
    """
    session = boto3.Session(region_name=region)
    if address and session.get_credentials() is None:  # an emulator takes any
        session = boto3.Session("test", "test", region_name=region)
    parsers = session._session.get_component("response_parser_factory")  # noqa: SLF001 - botocore has no other way
    parsers.set_parser_defaults(timestamp_parser=lambda number: number)
    config = Config(
        parameter_validation=False,
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=3,
        read_timeout=10,
        tcp_keepalive=True,
    )
    return session.client("kinesis", endpoint_url=address or None, config=config)
