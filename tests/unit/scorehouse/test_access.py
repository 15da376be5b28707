from __future__ import annotations

import pytest

from scorehouse.access import Access, bearer, open_access
from scorehouse.environment import read_settings
from scorehouse.errors import SettingError

SECRET = "s" * 32
OPEN = Access("", frozenset({"scorer.example.com"}))
CLOSED = Access(SECRET, frozenset({"scorer.example.com"}))


def status(access: Access, method: str = "GET", host: str | None = "127.0.0.1:9696", **headers: str) -> int | None:
    refused = access.refuse(method, host, headers.get("authorization"), headers.get("origin"))
    return refused and refused[0]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:9696", "192.168.1.4:9696", "[::1]:9696", "localhost", "LOCALHOST:9696", "scorer:9696",
        "mlflow_server", "scorer.example.com", "Scorer.Example.com:8000", None, "",
    ],
)  # fmt: skip
def test_the_names_of_a_machine_are_allowed(host: str | None) -> None:
    assert status(OPEN, host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9696",
        "127.0.0.1.evil.example",
        "localhost.",
        "a b",
        "x@localhost",
        "[evil.example]",
    ],
)
def test_a_name_that_a_stranger_could_own_is_misdirected(host: str) -> None:
    assert status(OPEN, host=host) == 421


def test_a_refusal_says_what_to_do_and_repeats_little_of_the_name() -> None:
    refused = OPEN.refuse("GET", "x" * 5000 + ".example", None, None)
    assert refused
    assert "ALLOWED_HOSTS" in refused[1]
    assert len(refused[1]) < 250


def test_pages_of_an_allowed_origin_may_send_and_others_may_not() -> None:
    access = Access(SECRET, frozenset(), frozenset({"https://shop.example.com"}))
    trusted = f"Bearer {SECRET}"
    for origin, wanted in (("https://shop.example.com", None), ("http://shop.example.com", 403), ("null", 403)):
        assert status(access, "POST", authorization=trusted, origin=origin) == wanted
        assert access.shares(origin) is (wanted is None)
    assert status(access, "POST", origin="https://shop.example.com") == 401
    assert status(access, "OPTIONS", origin="https://shop.example.com") is None
    assert status(access, "OPTIONS", origin="https://evil.example") == 401
    assert not access.shares(None)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Basic {SECRET}", SECRET, "Bearer é"]
)
def test_without_the_secret_nothing_is_answered(authorization: str | None) -> None:
    refused = CLOSED.refuse("GET", "localhost", authorization, None)
    assert refused
    assert refused[0] == 401
    assert SECRET not in refused[1]
    assert not CLOSED.trusts(authorization)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_secret_opens_every_name_of_the_service(scheme: str) -> None:
    assert CLOSED.refuse("GET", "anything.example", f"{scheme} {SECRET}", None) is None
    assert CLOSED.trusts(f"{scheme} {SECRET}")


def test_a_service_without_a_secret_trusts_nobody() -> None:
    assert not OPEN.trusts("Bearer ")
    assert not OPEN.trusts(None)


@pytest.mark.parametrize(
    ("name", "believed"),
    [("shop-7", "shop-7"), ("", None), (None, None), ("Shop", None), ("-x", None), ("x" * 41, None), ("a\n", None)],
)
def test_only_the_gateway_says_who_asks(name: str | None, believed: str | None) -> None:
    assert CLOSED.caller(f"Bearer {SECRET}", name) == believed
    assert CLOSED.caller("Bearer wrong", name) is None
    assert OPEN.caller(None, name) is None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example", "http://[::1"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_page_of_another_site_changes_nothing(method: str, origin: str) -> None:
    assert status(OPEN, method, origin=origin) == 403
    assert status(CLOSED, method, origin=origin, authorization=f"Bearer {SECRET}") == 403  # Nginx added the secret
    assert status(OPEN, "GET", origin=origin) is None


@pytest.mark.parametrize(
    ("host", "origin"),
    [("127.0.0.1:9696", "http://127.0.0.1:9696"), ("[::1]:9696", "http://[::1]:9696"), ("Scorer", "https://scorer")],
)
def test_a_page_of_the_service_itself_may_post(host: str, origin: str) -> None:
    assert status(OPEN, "POST", host, origin=origin) is None


def test_the_settings_name_hosts_and_secret() -> None:
    settings = read_settings(
        {"ALLOWED_HOSTS": "A.example, b.example", "SERVE_ADDRESS": "serve.example", "CLOUD_ADDRESS": "10.0.0.1"}
    )
    assert bearer(settings) == {}
    access = open_access(settings)
    for host in ("a.example", "b.example:1", "serve.example", "10.0.0.1"):
        assert status(access, host=host) is None
    assert status(access, host="c.example") == 421
    closed = read_settings({"SERVICE_SECRET": SECRET})
    assert bearer(closed) == {"Authorization": f"Bearer {SECRET}"}
    assert status(open_access(closed), authorization=bearer(closed)["Authorization"]) is None
    assert SECRET not in repr(closed)


@pytest.mark.parametrize("name", ["SERVICE_SECRET", "ALLOWED_HOSTS"])
def test_a_value_that_no_header_can_carry_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=name) as caught:
        read_settings({name: "a\nb"})
    assert ("a\\nb" in str(caught.value)) == (name != "SERVICE_SECRET")
