"""A request as WSGI has it, and what an application answers as HTTP has it."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from server.web.transport.wsgi import Request, answer, date, environ


def request(method: bytes = b"GET", target: bytes = b"/", *headers: tuple[bytes, bytes]) -> Request:
    made = Request("10.0.0.7", ("10.0.0.1", 9696))
    made.method, made.target, made.headers = method, target, list(headers)
    return made


def test_a_request_is_translated_whole() -> None:
    made = request(b"POST", b"/a%20b/%ff?x=1&y=%20", (b"content-type", b"text/csv"), (b"content-length", b"3"),
                   (b"x-one", b"1"), (b"x-one", b"2"), (b"host", b"h:1"))  # fmt: skip
    made.body = bytearray(b"abc")
    given = environ(made)
    names = "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_ONE", "HTTP_HOST"
    assert [given[n] for n in names] == ["POST", "/a b/\xff", "x=1&y=%20", "text/csv", "3", "1,2", "h:1"]
    assert (given["SERVER_NAME"], given["SERVER_PORT"], given["REMOTE_ADDR"]) == ("10.0.0.1", "9696", "10.0.0.7")
    assert given["wsgi.input"].read() == b"abc"


def test_an_absolute_target_is_its_path() -> None:
    assert environ(request(target=b"http://h:1/predict?x"))["PATH_INFO"] == "/predict"


def test_a_header_with_an_underscore_does_not_pass_for_the_one_with_a_hyphen() -> None:
    assert environ(request(b"GET", b"/", (b"x_api_key", b"stolen"))).get("HTTP_X_API_KEY") is None


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [
        (b"GET", Response("text"), b"Content-Length: 4\r\n\r\ntext"),
        (b"HEAD", Response("text"), b"Content-Length: 4\r\n\r\n"),
        (b"GET", Response(status=204), b"\r\n\r\n"),
        (b"GET", Response(iter(["a", "b"])), b"Content-Length: 2\r\n\r\nab"),
        (b"GET", Response(""), b"Content-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_has_its_length(method: bytes, given: Response, expected: bytes) -> None:
    assert answer(given, request(method)).endswith(expected)


def test_headers_that_stand_twice_stay_two_and_the_date_is_there() -> None:
    @Asked.application
    def app(_: Asked) -> Response:
        one = Response()
        one.headers.add("Set-Cookie", "a=1")
        one.headers.add("Set-Cookie", "b=2")
        return one

    made = request()
    made.keep_alive = False
    head = answer(app, made).decode()
    assert head.startswith("HTTP/1.1 200 OK\r\nDate: ") and head.count("Set-Cookie") == 2
    assert "\r\nConnection: close\r\n" in head


def test_the_date_is_written_as_http_writes_it() -> None:
    day, rest = date().split(", ")
    assert len(day) == 3 and rest.endswith(" GMT") and len(rest) == 24


def test_a_status_of_its_own_keeps_its_number() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("299 Fine", [("Content-Type", "text/plain")])
        return [b"x"]

    assert answer(app, request()).startswith(b"HTTP/1.1 299 ")
