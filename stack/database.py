"""Asks MongoDB whether it lets the product's user in: otherwise a refused password shows after minutes of waiting."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote_plus

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError
from rich.console import Console

from stack.environment import SECRETS
from stack.errors import StackError

PATIENCE_SECONDS = 60.0  # until it answers at all; after that, its health check says what is wrong
REFUSED_SECONDS = 20.0  # a new volume has its users once the first health check has run
_AUTHENTICATION_FAILED = 18


def require_login(env: Mapping[str, str], console: Console, port: int = 27018) -> None:
    """Return once MongoDB takes the password, or if this machine does not reach it.

    Raises:
        StackError: it has refused the password for REFUSED_SECONDS.
    """
    elsewhere = env.get("MONGODB_INSIDE", "")
    address = elsewhere or f"mongodb://scorehouse:{quote_plus(env['MONGODB_PASSWORD'])}@{_host(env)}:{port}"
    ends = time.monotonic() + PATIENCE_SECONDS
    refused_since: float | None = None
    with console.status("waiting for MongoDB's user scorehouse"):
        while (refuses := _refuses(address)) is not False and time.monotonic() < ends:
            refused_since = (refused_since or time.monotonic()) if refuses else None
            if refused_since and time.monotonic() - refused_since > REFUSED_SECONDS:
                raise StackError(_refused(elsewhere))
            time.sleep(1.0)


def _refuses(address: str) -> bool | None:
    """Return whether the server refuses the password; None if it does not answer. Services say what else is wrong."""
    try:
        with MongoClient[dict[str, object]](address, serverSelectionTimeoutMS=2000, timeoutMS=5000) as client:
            client.admin.command("ping")
    except OperationFailure as error:
        return error.code == _AUTHENTICATION_FAILED
    except ConfigurationError:
        return False
    except PyMongoError:
        return None
    return False


def _host(env: Mapping[str, str]) -> str:
    """Return where this machine reaches the stack's own MongoDB."""
    bound = env.get("BIND_ADDRESS") or "127.0.0.1"
    return "127.0.0.1" if bound == "0.0.0.0" else bound  # noqa: S104 - it is compared, not bound


def _refused(elsewhere: str) -> str:
    if elsewhere:
        return (
            "the MongoDB at MONGODB_INSIDE refuses the user or the password in that address: correct it and start again"
        )
    return (
        f"MongoDB refuses its user scorehouse: its volume was made with other passwords than MONGODB_PASSWORD and "
        f"MONGODB_ADMIN_PASSWORD in {SECRETS.name}. Put the earlier ones back, or change them in the volume as "
        "docs/operations.md says under Passwords"
    )
