"""Compiled templates, shared by all Flask apps of a test session: otherwise each app compiles its pages again."""

from __future__ import annotations

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class Compiled(BytecodeCache):
    """Compiled templates by key, in memory; Jinja compares each with its source."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill `bucket` if its template was compiled before."""
        if content := self._kept.get(bucket.key):
            bucket.bytecode_from_string(content)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a compiled template."""
        self._kept[bucket.key] = bucket.bytecode_to_string()


_compiled = Compiled()


def share() -> None:
    """Let every app that is created from now on share the compiled templates."""
    Flask.jinja_options = {"bytecode_cache": _compiled}
