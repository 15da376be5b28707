from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from time import process_time

import pytest
from backports import zstd

from scorehouse.scoring.compression import CODINGS, BadCompression, TooLong, compression, decompress

MOST = 2**20
TEXT = b'{"a": 1}' * 1000
BOMB = b"\0" * (64 * MOST)
WIDE = {zstd.CompressionParameter.window_log: 27}


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


FORMS = [
    pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
    pytest.param("gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]), id="two members"),
    pytest.param("gzip", gzip.compress(TEXT) + b"\0" * 512, id="padded with zeros"),
    pytest.param("deflate", zlib.compress(TEXT), id="zlib"),
    pytest.param("deflate", raw_deflate(TEXT), id="deflate without zlib's head"),
    pytest.param("zstd", zstd.compress(TEXT), id="zstd"),
    pytest.param("zstd", zstd.compress(TEXT[:100]) + zstd.compress(TEXT[100:]), id="two frames"),
]


@pytest.mark.parametrize(("coding", "data"), FORMS)
def test_every_form_of_a_coding_is_read(coding: str, data: bytes) -> None:
    assert decompress(data, coding, MOST) == TEXT
    assert decompress(bytearray(data), coding, len(TEXT)) == TEXT
    assert compression(data) == ("" if coding == "deflate" else coding)


@pytest.mark.parametrize(("coding", "data"), FORMS)
def test_one_byte_over_the_bound_is_refused(coding: str, data: bytes) -> None:
    with pytest.raises(TooLong, match="more than 7,999 bytes once it is decompressed"):
        decompress(data, coding, len(TEXT) - 1)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.99])
def test_what_is_cut_off_is_refused(coding: str, kept: float) -> None:
    data = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[coding](TEXT)
    with pytest.raises(BadCompression, match=f"is not whole {coding}: "):
        decompress(data[: max(1, int(len(data) * kept))], coding, MOST)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("data", [TEXT, b"\x1f\x8b nothing", b"\x28\xb5\x2f\xfd nothing", b"\x78\x9c nothing"])
def test_what_is_in_no_coding_is_refused(coding: str, data: bytes) -> None:
    with pytest.raises(BadCompression):
        decompress(data, coding, MOST)


@pytest.mark.parametrize("pack", [zlib.compress, raw_deflate])
def test_a_second_stream_is_refused_and_not_lost(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadCompression, match="more data follows its end"):
        decompress(pack(TEXT) + pack(TEXT), "deflate", MOST)
    assert decompress(pack(TEXT) + b"\n", "deflate", MOST) == TEXT


def test_a_frame_that_asks_for_much_memory_gets_none() -> None:
    with pytest.raises(BadCompression, match="too much memory"):
        decompress(zstd.compress(BOMB, options=WIDE), "zstd", MOST)


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        pytest.param("gzip", gzip.compress(BOMB), id="gzip"),
        pytest.param("deflate", zlib.compress(BOMB), id="deflate"),
        pytest.param("zstd", zstd.compress(BOMB), id="zstd"),
        pytest.param("gzip", gzip.compress(b"") * 50_000, id="gzip members that hold nothing"),
        pytest.param("zstd", zstd.compress(b"") * 80_000, id="zstd frames that hold nothing"),
        pytest.param("zstd", b"\x50\x2a\x4d\x18\0\0\0\0" * 130_000, id="zstd frames that are skipped"),
    ],
)
def test_a_bomb_costs_little_time_and_memory(coding: str, data: bytes) -> None:
    tracemalloc.start()
    began = process_time()
    with pytest.raises((TooLong, BadCompression)):
        decompress(data, coding, MOST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert process_time() - began < 0.2
    assert peak < 4 * MOST


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_cut_off_says_how_much_was_decompressed_in_vain(coding: str) -> None:
    data = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[coding](BOMB)
    with pytest.raises(BadCompression) as error:
        decompress(data[:-20], coding, 2 * len(BOMB))
    assert len(BOMB) // 2 < error.value.made <= len(BOMB)
