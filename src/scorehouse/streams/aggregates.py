"""Takes apart what Amazon's producer library (KPL) packs: many records, each with a partition key, in one record.

The format: a magic number, one protobuf message, and the MD5 checksum of the message. See aggregation-format.md in
awslabs/amazon-kinesis-producer, and docs/adr/0020-packed-stream-records.md for why aws-kinesis-agg is not used here.
"""

from __future__ import annotations

from hashlib import md5
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from scorehouse.errors import ScorehouseError

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST = 16  # bytes
MOST_KEY = 256  # UTF-16 units of a partition key: with a longer one, Kinesis would refuse the whole call


class NotAggregate(ScorehouseError):
    """The bytes begin like an aggregate, but are torn, changed or forged. The message has no subject: `is an …`."""

    def __init__(self, fault: str):
        """`fault` continues `is an aggregate …`."""
        super().__init__(f"is an aggregate of the Kinesis Producer Library {fault}")


def take_apart(data: bytes, most: int) -> list[tuple[str, bytes]]:
    """Return the partition key and the bytes of each record in the aggregate `data`, in order.

    Explicit hash keys are skipped: they chose the shard, and mean nothing afterwards.

    Raises:
        NotAggregate: it is torn, or changed, or contains more than `most` records or an impossible key.
    """
    message, digest = data[len(MAGIC) : -_DIGEST], data[-_DIGEST:]
    if len(data) < len(MAGIC) + _DIGEST or md5(message, usedforsecurity=False).digest() != digest:
        raise NotAggregate("that is torn or was changed: its checksum does not match")
    try:
        aggregate = _AGGREGATE.FromString(message)
        if len(aggregate.records) > most:
            raise NotAggregate(f"that contains more than {most:,} records")
        keys = [_key(key) for key in aggregate.partition_keys]
        return [_record(_RECORD.FromString(record), keys) for record in aggregate.records]
    except DecodeError as error:
        raise NotAggregate("whose message is not as the protocol says") from error


def _key(key: bytes) -> str:
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise NotAggregate("whose partition key is not UTF-8") from error
    if not 0 < len(text.encode("utf-16-le")) // 2 <= MOST_KEY:
        raise NotAggregate(f"whose partition key does not have 1 to {MOST_KEY} characters")
    return text


def _record(record: Any, keys: list[str]) -> tuple[str, bytes]:
    if not record.IsInitialized():
        raise NotAggregate("whose message is not as the protocol says")
    if record.key >= len(keys):
        raise NotAggregate("whose record has a key that is not in its list")
    return keys[record.key], record.data


def _messages() -> tuple[Any, Any]:
    """The two messages of the format. Keys and records stay bytes, so that they are counted before they are made."""
    file = FileDescriptorProto(name="kpl.proto", package="kpl", syntax="proto2")
    required, optional, repeated = (
        FieldDescriptorProto.LABEL_REQUIRED,
        FieldDescriptorProto.LABEL_OPTIONAL,
        FieldDescriptorProto.LABEL_REPEATED,
    )
    number, text = FieldDescriptorProto.TYPE_UINT64, FieldDescriptorProto.TYPE_BYTES
    for name, fields in (
        ("Aggregate", (("partition_keys", repeated, text), ("hash_keys", repeated, text), ("records", repeated, text))),
        ("Record", (("key", required, number), ("hash_key", optional, number), ("data", required, text))),
    ):
        message = file.message_type.add(name=name)
        for place, (field, label, type_) in enumerate(fields, 1):
            message.field.add(name=field, number=place, label=label, type=type_)
    pool = DescriptorPool()
    pool.Add(file)
    aggregate, record = (GetMessageClass(pool.FindMessageTypeByName(f"kpl.{name}")) for name in ("Aggregate", "Record"))
    return aggregate, record


_AGGREGATE, _RECORD = _messages()
