"""Compiled templates, shared by all Flask apps of a test session: each app would compile its pages anew."""

from __future__ import annotations

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """Templates by their key, in memory; Jinja compares each with its source."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill `bucket` with what is known."""
        if content := self._kept.get(bucket.key):
            bucket.bytecode_from_string(content)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


_compiled = Compiled()


def share() -> None:
    """Let every app that is made from now on share them."""
    Flask.jinja_options = {"bytecode_cache": _compiled}
