"""A request as WSGI has it, and what an application answers as HTTP has it."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.wrappers import Request as Asked
from werkzeug.wrappers import Response

from server.web.api.app import CALLER
from server.web.transport.wsgi import answer, environ


def scope(method: str = "GET", target: bytes = b"/", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    path, _, query = target.partition(b"?")
    ends = {"client": ("10.0.0.7", 5000), "server": ("10.0.0.1", 9696)}
    return {"method": method, "raw_path": path, "query_string": query, "headers": list(headers), **ends}


def test_a_request_is_translated_whole() -> None:
    asked = scope("POST", b"/a%20b/%ff?x=1&y=%20", (b"content-type", b"text/csv"), (b"content-length", b"3"),
                  (b"x-one", b"1"), (b"x-one", b"2"), (b"host", b"h:1"))  # fmt: skip
    given = environ(asked, bytearray(b"abc"), "shop")
    names = "REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_ONE", "HTTP_HOST"
    assert [given[n] for n in names] == ["POST", "/a b/\xff", "x=1&y=%20", "text/csv", "3", "1,2", "h:1"]
    assert (given["SERVER_NAME"], given["SERVER_PORT"], given["REMOTE_ADDR"]) == ("10.0.0.1", "9696", "10.0.0.7")
    assert (given["wsgi.input"].read(), given[CALLER]) == (b"abc", "shop")


def test_a_header_with_an_underscore_does_not_pass_for_the_one_with_a_hyphen() -> None:
    assert environ(scope("GET", b"/", (b"x_api_key", b"stolen")), b"").get("HTTP_X_API_KEY") is None


@pytest.mark.parametrize(
    ("method", "given", "length", "body"),
    [
        ("GET", Response("text"), b"4", b"text"),
        ("HEAD", Response("text"), b"4", b""),
        ("GET", Response(status=204), None, b""),
        ("GET", Response(iter(["a", "b"])), b"2", b"ab"),
        ("GET", Response(""), b"0", b""),
    ],
)
def test_an_answer_has_its_length(method: str, given: Response, length: bytes | None, body: bytes) -> None:
    made = answer(given, environ(scope(method), b""))
    assert (dict(made.headers).get(b"content-length"), made.body) == (length, body)


def test_headers_that_are_there_twice_stay_two() -> None:
    @Asked.application
    def app(_: Asked) -> Response:
        one = Response()
        one.headers.add("Set-Cookie", "a=1")
        one.headers.add("Set-Cookie", "b=2")
        return one

    names = [name.lower() for name, _ in answer(app, environ(scope(), b"")).headers]
    assert names.count(b"set-cookie") == 2


def test_a_status_of_its_own_keeps_its_number() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("299 Fine", [("Content-Type", "text/plain")])
        return [b"x"]

    assert answer(app, environ(scope(), b"")).status == 299
