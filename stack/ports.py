"""Checks, before anything starts, that the ports which services publish are free."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

Address = tuple[str, int]


def published(configuration: Mapping[str, Any]) -> dict[str, list[Address]]:
    """Return, by service, the addresses of this machine that a Compose configuration publishes."""
    return {
        name: [(port["host_ip"], int(port["published"])) for port in service.get("ports") or []]
        for name, service in configuration["services"].items()
    }


def problem(address: Address) -> str | None:
    """Return why nothing can listen at `address` of this machine now, or None."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "it is already in use: stop the process that listens there (`ss -ltnp` shows it)"
            if error.errno == errno.EADDRNOTAVAIL:
                return f"{address[0]} is not an address of this machine: change BIND_ADDRESS"
            return f"it cannot be used: {error.strerror}"
    return None


def faults(
    wanted: Mapping[str, Iterable[Address]],
    running: set[str],
    ours: Collection[Address] = (),
    ask: Callable[[Address], str | None] = problem,
) -> list[str]:
    """Return a line for each address that a service which is not `running` yet cannot use.

    `ours` are the addresses that the project's own containers publish now: another of its services may take them over,
    as after an upgrade.
    """
    return [
        f"{service} needs port {address[1]} on {address[0]}, but {why}"
        for service, addresses in sorted(wanted.items())
        if service not in running
        for address in addresses
        if address not in ours and (why := ask(address))
    ]


def taken_over(wanted: Mapping[str, Iterable[Address]], held: Mapping[str, Collection[Address]]) -> set[str]:
    """Return the services that need an address which a container of another service of the project holds."""
    return {
        service
        for service, addresses in wanted.items()
        for other, theirs in held.items()
        if other != service and set(addresses) & set(theirs)
    }
