"""Aggregates as a real producer makes them, and torn, changed and forged ones."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorehouse.streams.aggregates import NotAggregate, take_apart
from tests.aggregates import aggregate, sealed

RECORDS = [("anna", b'{"x": 1}'), ("bert", b""), ("anna", b"\xff"), ("ж" * 256, b"1")]


def refusal(data: bytes, most: int = 100) -> str:
    with pytest.raises(NotAggregate) as caught:
        take_apart(data, most)
    return str(caught.value)


@pytest.mark.parametrize("hash_key", [None, str(2**127)])
def test_an_aggregate_gives_its_records_with_their_keys_in_order(hash_key: str | None) -> None:
    assert take_apart(aggregate(RECORDS, hash_key), 4) == RECORDS


def test_any_records_come_back_as_they_were() -> None:
    keys = st.text(st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF), min_size=1, max_size=256)

    @given(st.lists(st.tuples(keys, st.binary(max_size=100)), min_size=1, max_size=20))
    @settings(max_examples=50, deadline=None)
    def check(records: list[tuple[str, bytes]]) -> None:
        assert take_apart(aggregate(records), 20) == records

    check()


def test_tags_that_this_code_does_not_know_are_no_fault() -> None:
    tag = b"\x1a\x13" + b"\x08\x00" + b"\x1a\x01x" + b"\x22\x05\x0a\x03tag" + b"\x2a\x05other"  # Tag tags = 4, and 5
    assert take_apart(sealed(b"\x0a\x01k" + tag), 1) == [("k", b"x")]


@pytest.mark.parametrize("changed", [0, 4, 10, 30, -17, -16, -1])
def test_a_changed_byte_is_found_by_the_checksum(changed: int) -> None:
    data = bytearray(aggregate(RECORDS))
    data[changed if changed else 5] ^= 1
    assert "its checksum does not match" in refusal(bytes(data))


def test_every_torn_aggregate_is_refused() -> None:
    data = aggregate(RECORDS[:2])
    for length in range(4, len(data)):
        assert "is torn or was changed: its checksum does not match" in refusal(data[:length])


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\xff\xff", "whose message is not as the protocol says"),
        (b"\x0a\x01k\x1a\x02\x08\x00", "whose message is not as the protocol says"),  # a record without data
        (b"\x0a\x01k\x1a\x05\x08\x01\x1a\x01x", "whose record has a key that is not in its list"),
        (b"\x1a\x05\x08\x00\x1a\x01x", "whose record has a key that is not in its list"),
        (b"\x0a\x00\x1a\x05\x08\x00\x1a\x01x", "whose partition key does not have 1 to 256 characters"),
        (b"\x0a\x81\x02" + b"k" * 257 + b"\x1a\x05\x08\x00\x1a\x01x", "does not have 1 to 256 characters"),
        (b"\x0a\x84\x04" + "😀".encode() * 129 + b"\x1a\x05\x08\x00\x1a\x01x", "1 to 256 characters"),  # of UTF-16
        (b"\x0a\x01\xff\x1a\x05\x08\x00\x1a\x01x", "whose partition key is not UTF-8"),
    ],
)
def test_a_forged_aggregate_is_refused_with_the_reason(message: bytes, reason: str) -> None:
    assert refusal(sealed(message)).startswith("is an aggregate of the Kinesis Producer Library ")
    assert reason in refusal(sealed(message))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_whatever_has_a_right_checksum_is_taken_apart_or_refused(message: bytes) -> None:
    with suppress(NotAggregate):
        take_apart(sealed(message), 10)


def test_an_aggregate_of_half_a_million_costs_little_time() -> None:
    for message in (b"\x0a\x01k" + b"\x1a\x00" * 500_000, b"\x0a\x00" * 500_000):
        began = process_time()
        assert "contains more than" in refusal(sealed(message), 100_000) or "1 to 256" in refusal(sealed(message))
        assert process_time() - began < 1


def test_more_records_than_allowed_are_refused_before_they_are_made() -> None:
    assert "contains more than 3 records" in refusal(aggregate(RECORDS), 3)
