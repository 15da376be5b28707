"""CSV bodies: the same records as JSON's, and what is torn is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import Any

import pandas as pd
import pytest
from backports import zstd

from scorehouse.tables import content
from scorehouse.usecase import Feature
from server.web.api.csv_rows import csv_records
from server.web.api.problems import Problem

FEATURES = (
    Feature(name="age", kind="integer", help="Age"),
    Feature(name="limit", kind="number", help="Limit"),
    Feature(name="kind", kind="category", categories=("a", "NA"), help="Kind"),
    Feature(name="code", kind="category", categories=(0, 1), help="Code"),
    Feature(name="day", kind="date", help="Day"),
)


def test_cells_become_what_their_features_are() -> None:
    body = b"\xef\xbb\xbfage,limit,kind,code,day,other\r\n50,1.5,a,1,2020-01-02,7\r\n,NaN,NA,,,\r\n"
    assert csv_records(body, FEATURES, 100) == [
        {"age": 50, "limit": 1.5, "kind": "a", "code": 1, "day": "2020-01-02", "other": "7"},
        {"age": None, "limit": None, "kind": "NA", "code": None, "day": None, "other": None},
    ]


def test_what_is_no_number_stays_for_the_schema_to_refuse() -> None:
    assert csv_records(b"age,limit\nold,inf\n", FEATURES, 100)[0]["age"] == "old"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "empty"),
        (b"\xff\xfe", 400, "empty"),
        (b'age,limit\n50,"1', 400, "ends within quotes"),
        (b'age,"limit\n50,1\n', 400, "a quote in its first row that is not closed"),
        (b'age,limit\n"50,1\n51,2\n', 422, "has 1 cell in row 2, but there are 2 columns: a quote in it is not closed"),
        (
            b"50,1.5\n51,2\n",
            422,
            "first row, .*; if its first row is a record, .*header=absent and the columns age, limit, kind",
        ),
        (
            b"50,50\n51,2\n",
            422,
            "named .50.; if its first row is a record, .*header=absent and the columns age, limit, kind",
        ),
        (b"age,age\n1,2\n", 422, "more than one column named 'age'"),
        (b"age,limit\n1,2\n\n3\n", 422, "has 1 cell in row 4, but there are 2 columns"),
        (b"PAR1....", 400, "it is Parquet"),
        (gzip.compress(b"age,limit\n1,2\n")[:20], 400, "is torn"),
        (gzip.compress(b"age,limit\n" + b"1,2\n" * 5_000_000), 413, "unpacks to more than"),
        (b",".join(b"%d" % i for i in range(100_000)), 400, "has 100,000 columns"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(body: bytes, status: int, said: str) -> None:
    with pytest.raises(Problem, match=said) as refused:
        csv_records(body, FEATURES, 100)
    assert refused.value.status == status


@pytest.mark.parametrize(
    "body",
    [
        "age;limit;kind\n50;1,5;a\n51;2,25;a\n".encode("utf-16"),
        b"age\tlimit\tkind\n50\t$1.50\ta\n51\t$2.25\tA\n\t\t\n",
        gzip.compress(b"sep=,\nage,limit,kind\n50,1.5,a\n51,2.25, a \n,,\n"),
    ],
    ids=["UTF-16 with decimal commas", "tabs, a currency and an empty row", "gzip, Excel's sep="],
)
def test_what_other_programs_write_is_read(body: bytes) -> None:
    expected = [{"age": 50, "limit": 1.5, "kind": "a"}, {"age": 51, "limit": 2.25, "kind": "a"}]
    assert csv_records(body, FEATURES, 100) == expected


def test_without_a_header_the_columns_are_the_features_in_their_order() -> None:
    body = b"50,1.5,a,1,2020-01-02\n51,2,NA,0,2020-01-03\n"
    assert csv_records(body, FEATURES, 100, header=False) == [
        {"age": 50, "limit": 1.5, "kind": "a", "code": 1, "day": "2020-01-02"},
        {"age": 51, "limit": 2.0, "kind": "NA", "code": 0, "day": "2020-01-03"},
    ]
    with pytest.raises(Problem, match="has 2 cells in row 1, but there are 5 columns"):
        csv_records(b"50,1\n", FEATURES, 100, header=False)


def test_a_column_without_a_name_is_left_out() -> None:
    """pandas' to_csv writes its index as one."""
    assert csv_records(b",age\n0,50\n", FEATURES, 100) == [{"age": 50}]


def test_too_many_lines_are_refused_before_they_are_read() -> None:
    """1 MB of them, read first, took 2.7 s and 130 MB of memory."""
    body = b"age,limit\n" + 101 * b"1,2\n"
    with pytest.raises(Problem, match="more than 100 records") as refused:
        csv_records(body + b'and "torn', FEATURES, 100)
    assert refused.value.status == 413
    assert len(csv_records(body, FEATURES, 101)) == 101


def test_the_route_takes_what_pandas_writes(door: Any, toy_records: list[dict[str, Any]]) -> None:
    expected = door.post("/invocations", {"dataframe_records": toy_records[:20]}).json
    text = pd.DataFrame(toy_records[:20]).to_csv(index=False)
    answer = door.client.post("/invocations", data=text, content_type="text/csv; charset=utf-8")
    assert answer.status_code == 200
    assert answer.json == expected


def test_a_csv_that_is_too_large_is_refused(door: Any) -> None:
    assert door.client.post("/invocations", data="a" * 300_000, content_type="text/csv").status_code == 413


@pytest.mark.parametrize("first", [b"PAR1", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"], ids=["Parquet", "xls"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_file_that_is_no_csv_is_not_unpacked_to_say_so(
    pack: Any, first: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body of 597 kB was unpacked to a file of 583 MB before it was refused."""
    written = []

    class Held(content.tempfile.SpooledTemporaryFile):  # type: ignore[type-arg]
        def write(self, part: Any) -> int:
            written.append(len(part))
            return super().write(part)

    monkeypatch.setattr(content.tempfile, "SpooledTemporaryFile", Held)
    with pytest.raises(Problem, match="unpacks to more than 1,048,576 bytes") as refused:
        csv_records(pack(first + bytes(2**24)), FEATURES, 100, most_bytes=2**20)
    assert refused.value.status == 400
    assert sum(written) <= 2**20


def test_a_body_is_compressed_once_and_in_few_members() -> None:
    """Each empty member costs microseconds: 300,000 of them, which xz packs into less than 1 kB, took 2.9 s."""
    body = b"age,limit\n1,2\n"
    assert csv_records(lzma.compress(body), FEATURES, 100) == csv_records(body, FEATURES, 100)
    for packed in (lzma.compress(zstd.compress(b"") * 2000), gzip.compress(gzip.compress(body))):
        with pytest.raises(Problem, match="is compressed more than once"):
            csv_records(packed, FEATURES, 100)
    for member in (zstd.compress(b""), gzip.compress(b"")):
        with pytest.raises(Problem, match="has more than 1,000 members"):
            csv_records(member * 2000, FEATURES, 100)


def test_what_a_body_unpacks_to_is_limited_as_the_body_is() -> None:
    """15 MB of a table of 10,000 columns, sent as 39 kB, took 214 MB of memory."""
    body = b"age,limit\n" + 50 * b"1,2\n"
    assert len(csv_records(gzip.compress(body), FEATURES, 100, most_bytes=len(body))) == 50
    assert len(csv_records(body, FEATURES, 100, most_bytes=10)) == 50
    with pytest.raises(Problem, match="unpacks to more than 209 bytes") as refused:
        csv_records(gzip.compress(body), FEATURES, 100, most_bytes=len(body) - 1)
    assert refused.value.status == 413


def test_the_door_unpacks_a_body_to_no_more_than_it_reads(door: Any) -> None:
    packed = gzip.compress(lzma.compress(b"age,limit\n" + 2**19 * b"1,2\n"))
    answer = door.client.post("/invocations", data=packed, content_type="text/csv")
    assert answer.status_code == 413 and "unpacks to more than" in answer.text
