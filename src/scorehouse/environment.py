"""The environment of a process, read once at its start. Only composition roots and commands import this module."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from pydantic import ValidationError

from scorehouse.errors import SettingError
from scorehouse.settings import Settings


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`. Empty variables count as unset; variables we do not know are ignored.

    Raises:
        SettingError: names each bad variable and says what it should be.
    """
    values = {name: environ[name.upper()] for name in Settings.model_fields if environ.get(name.upper())}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = [f"{_given(str(e['loc'][0]), e['input'])}: {_wanted(e['msg'])}" for e in error.errors()]
        raise SettingError("; ".join(faults)) from error


def settings_or_exit(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings, or end the process with status 2 and one line that lists every invalid setting."""
    try:
        return read_settings(environ)
    except SettingError as error:
        sys.stderr.write(f"settings: {error}\n")
        raise SystemExit(2) from error


def _given(name: str, value: object) -> str:
    """A variable as a message shows it: a secret without its value."""
    return f"{name.upper()}={value!r}" if Settings.model_fields[name].repr else name.upper()


def _wanted(message: str) -> str:
    """Pydantic's message as the end of our line: `it should be a valid integer`."""
    return message.removeprefix("Value error, ").replace("Input should", "it should", 1)
