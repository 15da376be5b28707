"""What RFC 9110 and 9112 ask of a request's head, where neither httptools nor uvicorn does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

import httptools

from server.web.api.problems import Problem

Headers = Iterable[tuple[bytes, bytes]]
MOST_HEAD = 64 * 1024  # bytes of a target and its headers, and of the trailers
MOST_HEADERS = 100
_AUTHORITY = re.compile(rb"[\w.~!$&'()*+,;=%:\[\]-]*")
_OF_AN_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


def check_head(version: str, headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name; if a header may be repeated and is, its last value.

    Names are in lower case.

    Raises:
        Problem: a request in HTTP `version` with these headers cannot be answered.
    """
    if version not in ("1.1", "1.0"):
        raise Problem(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this server answers HTTP/1.1")
    if len(headers) > MOST_HEADERS:
        raise too_long(f"there must not be more than {MOST_HEADERS} headers")
    by_name = dict(headers)
    modern = version == "1.1"
    host = by_name.get(b"host")
    if host is None and modern:
        raise Problem(HTTPStatus.BAD_REQUEST, "a request must have a Host header")
    if host is not None and not _AUTHORITY.fullmatch(host):
        raise Problem(HTTPStatus.BAD_REQUEST, "the Host header is not the name of a host")
    repeated = len(by_name) != len(headers)
    if repeated or b"transfer-encoding" in by_name or b"expect" in by_name:
        _check_rare(modern, headers)
    return by_name


def _check_rare(modern: bool, headers: Headers) -> None:
    hosts = 0
    for name, value in headers:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding":
            _check_coding(modern, value)
        elif name == b"expect" and modern and value.lower() != b"100-continue":
            raise Problem(HTTPStatus.EXPECTATION_FAILED, "only Expect: 100-continue is supported")
    if hosts > 1:
        raise Problem(HTTPStatus.BAD_REQUEST, f"a request must have one Host header, not {hosts}")


def full_target(target: bytes) -> bytes:
    """Return a target that has a path: uvicorn needs one. Raises Problem (400) for what is not a URL."""
    try:
        path = httptools.parse_url(target).path
    except httptools.HttpParserInvalidURLError as error:
        raise no_url() from error
    if path is None:
        bare, question, query = target.partition(b"?")
        return b"%b/%b%b" % (bare, question, query)
    if not path.isascii():
        raise no_url()
    return target


def check_size(target: bytes, headers: Headers) -> None:
    """Raise Problem (431) if a head is too long."""
    if len(target) + sum(len(name) + len(value) for name, value in headers) > MOST_HEAD:
        raise too_long(f"the headers must not exceed {MOST_HEAD:,} bytes")


def too_long(detail: str) -> Problem:
    """Return the 431 that says which limit was passed."""
    return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)


def without_upgrade(method: bytes, target: bytes, headers: Headers) -> bytes:
    """Return a head again, without its request for another protocol; everything else stays."""
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    for name, value in headers:
        kept = value
        if name == b"connection":
            tokens = (token.strip() for token in value.split(b","))
            kept = b", ".join(token for token in tokens if token.lower() not in _OF_AN_UPGRADE)
        if kept and name not in _OF_AN_UPGRADE:
            lines.append(b"%b: %b" % (name, kept))
    return b"\r\n".join([*lines, b"", b""])


def no_url() -> Problem:
    """Return the 400 of a target that is not a URL."""
    return Problem(HTTPStatus.BAD_REQUEST, "the request's target is not a URL")


def _check_coding(modern: bool, value: bytes) -> None:
    if not modern:
        raise Problem(HTTPStatus.BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding: send HTTP/1.1")
    if value.strip().lower() != b"chunked":
        raise Problem(HTTPStatus.NOT_IMPLEMENTED, "only Transfer-Encoding: chunked is supported")
