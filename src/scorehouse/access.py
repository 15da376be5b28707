"""Which requests a service answers: with a secret, those that carry it; without one, those to this machine's own names.

A browser on the operator's machine can be made to send requests to 127.0.0.1: by a page whose name suddenly points
there (DNS rebinding), or by a form of another site. The checks of Host and Origin refuse both.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from http import HTTPStatus
from urllib.parse import urlsplit

from scorehouse.settings import AccessSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # a page of another site may send them, but cannot read the answer
_PLAIN_NAME = re.compile(r"[a-z0-9_-]+")  # nobody can register such a name, so no stranger's page has it
_CALLER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")  # like the names of the gateway's keys
_FOREIGN = "a page of another site sent this request: send it without an Origin header, or add the site to CORS_ORIGINS"
_SHOWN = 80  # characters of a Host header that a refusal repeats


class Access:
    """Decides about each request by its headers."""

    def __init__(
        self, secret: str, allowed_hosts: frozenset[str], allowed_origins: frozenset[str] = frozenset()
    ) -> None:
        """Ask for `secret` unless it is empty. `allowed_hosts` are names, in lower case, besides those of any machine.

        IP addresses, localhost and all names without a dot are always allowed. Pages of `allowed_origins`
        (https://shop.example.com) may send requests and read the answers.
        """
        self._secret = secret.encode()
        self._allowed_hosts = allowed_hosts
        self._allowed_origins = allowed_origins

    def refuse(
        self, method: str, host: str | None, authorization: str | None, origin: str | None
    ) -> tuple[int, str] | None:
        """Return the status and the reason with which a request is refused, or None if it may be answered.

        `host`, `authorization` and `origin` are the headers' values, None where there is no such header.
        """
        if method == "OPTIONS" and self.shares(origin):  # a browser asks what it may send, without the secret
            return None
        trusted = self.trusts(authorization)
        if self._secret and not trusted:
            why = "this service requires the secret of the services: send the request to the gateway, or SERVICE_SECRET"
            return HTTPStatus.UNAUTHORIZED, f"{why} as Authorization: Bearer …"
        name = _host_name(host or "")
        if not trusted and host and not self._is_allowed(name):
            why = f"this service does not answer to the name {name[:_SHOWN]!r}: use its IP address, or add the name"
            return HTTPStatus.MISDIRECTED_REQUEST, f"{why} to ALLOWED_HOSTS"
        if origin and method not in SAFE_METHODS and _origin_name(origin) != name and not self.shares(origin):
            return HTTPStatus.FORBIDDEN, _FOREIGN
        return None

    def trusts(self, authorization: str | None) -> bool:
        """Return whether the value of an Authorization header carries the secret; never where there is no secret."""
        if not self._secret:
            return False
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._secret)

    def shares(self, origin: str | None) -> bool:
        """Return whether pages of `origin`, the value of an Origin header, may read what this service answers."""
        return origin in self._allowed_origins

    def caller(self, authorization: str | None, name: str | None) -> str | None:
        """Return the name in an X-Caller header, if the request carries the secret: then the gateway wrote it."""
        return name if name and self.trusts(authorization) and _CALLER.fullmatch(name) else None

    def _is_allowed(self, name: str) -> bool:
        return _PLAIN_NAME.fullmatch(name) is not None or name in self._allowed_hosts or _is_ip_address(name)


def open_access(settings: AccessSettings, allowed_origins: frozenset[str] = frozenset()) -> Access:
    """Return what decides which requests a service with `settings` answers."""
    return Access(settings.service_secret, settings.host_names, allowed_origins)


def bearer(settings: AccessSettings) -> dict[str, str]:
    """Return the headers that our own clients send to a service; none if there is no secret."""
    return {"Authorization": f"Bearer {settings.service_secret}"} if settings.service_secret else {}


def _host_name(host: str) -> str:
    """The name in a Host header, in lower case: without the port, and without the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _origin_name(origin: str) -> str | None:
    """The name in an Origin header; None for `null`, which a page in a sandbox sends."""
    try:
        return urlsplit(origin).hostname
    except ValueError:
        return None


def _is_ip_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
