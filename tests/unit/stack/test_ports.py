"""Ports are checked before anything starts, and a taken one is named."""

from __future__ import annotations

import socket

from stack.ports import Address, faults, problem, published, taken_over


def taken(address: Address) -> str | None:
    return "it is taken" if address[1] == 9696 else None


def test_what_compose_publishes_is_read_by_service() -> None:
    configuration = {"services": {"scorer": {"ports": [{"host_ip": "127.0.0.1", "published": "9696"}]}, "postgres": {}}}
    assert published(configuration) == {"scorer": [("127.0.0.1", 9696)], "postgres": []}


def test_a_taken_port_is_named_with_the_service_that_needs_it() -> None:
    wanted = {"scorer": [("127.0.0.1", 9696)], "monitor": [("127.0.0.1", 8085)]}
    assert faults(wanted, set(), ask=taken) == ["scorer needs port 9696 on 127.0.0.1, but it is taken"]


def test_a_service_that_runs_holds_its_own_port() -> None:
    assert faults({"scorer": [("127.0.0.1", 9696)]}, {"scorer"}, ask=taken) == []


def test_a_service_takes_over_the_port_of_another_one_of_the_project() -> None:
    """Before, each service published its own port; now Nginx does."""
    assert faults({"gateway": [("127.0.0.1", 9696)]}, {"scorer"}, [("127.0.0.1", 9696)], taken) == []
    assert faults({"gateway": [("127.0.0.2", 9696)]}, {"scorer"}, [("127.0.0.1", 9696)], taken)


def test_a_port_on_which_a_process_listens_is_taken_and_free_again_afterwards() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address: Address = listener.getsockname()
        assert "it is already in use" in (problem(address) or "")
    assert problem(address) is None


def test_an_address_of_another_machine_is_named() -> None:
    assert "not an address of this machine" in (problem(("192.0.2.1", 9696)) or "")


def test_who_takes_over_a_port_of_another_service_is_named() -> None:
    here = ("127.0.0.1", 9696)
    wanted = {"gateway": [here, ("127.0.0.1", 8000)], "scorer": [], "mongodb": [("127.0.0.1", 27018)]}
    before = {"scorer": frozenset({here}), "mongodb": frozenset({("127.0.0.1", 27018)})}
    assert taken_over(wanted, before) == {"gateway"}
    assert taken_over(wanted, {"gateway": frozenset({here}), "scorer": frozenset()}) == set()
