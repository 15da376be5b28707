"""Reads and changes env files; a line that python-dotenv and Compose would read differently is refused."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values

from stack.errors import StackError

# Refused: $ (Compose expands it), backslashes in quotes (each has its own escapes), tabs before a comment, values that
# start with #, names without a value. The forms that are left have one meaning for both.
_NAME = r"[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*=[ \t]*+"
_VALUE = r"""(?:'[^'\\\r]*'|"[^"\\$\r]*"|[^\s'"`#$](?:[^\s$]| )*?)?"""
_LINE = re.compile(rf"(?:{_NAME}{_VALUE}(?: +#[^\r]*)?)?[ \t]*|[ \t]*#[^\r]*")


def read_file(path: Path) -> dict[str, str]:
    """Return the variables of an env file.

    Raises:
        StackError: there is no such file, or a line has no agreed meaning: it is named by its number.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError as error:
        raise StackError(f"there is no {path.name}: create it, or use env=local or env=cloud") from error
    except UnicodeDecodeError as error:
        raise StackError(f"{path.name} is not UTF-8: save it as UTF-8") from error
    for number, line in enumerate(text.split("\n"), 1):
        if "\0" in line or not _LINE.fullmatch(line):  # no environment holds a null byte
            raise StackError(
                f"{path.name}, line {number}: write NAME=value, or NAME='value' if the value contains #, $ or quotes; "
                "backslashes are allowed only without quotes"
            )
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items()}


def write_value(path: Path, name: str, value: str) -> None:
    """Give the variable `name`, which the env file must declare, another value; every other byte stays."""
    line = re.compile(rf"(?m)^([ \t]*(?:export[ \t]+)?{name}[ \t]*=)[^\r\n]*")
    content = path.read_bytes().decode()
    path.write_bytes(line.sub(lambda found: f"{found[1]}{value}", content).encode())


def quote(value: str) -> str:
    """Return `value` as Compose reads it back from an env file, whatever it holds."""
    escapes = {"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"}
    return '"' + "".join(escapes.get(character, character) for character in value) + '"'
