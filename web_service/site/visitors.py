"""Recognizes a visitor by a signed cookie, and the visitor's own forms by signed tokens."""

from __future__ import annotations

import os
import secrets
from hmac import compare_digest
from pathlib import Path

from flask import Flask, request, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature, URLSafeSerializer

KEY_BYTES = 32


class _Cookies(SecureCookieSessionInterface):
    """Marks the cookie as secure over HTTPS, but not over plain http://127.0.0.1, where browsers would drop it."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask passes it
        return request.is_secure


def use_cookies(app: Flask, key: bytes, days: int) -> None:
    """Sign the session of `app` with `key`; the session ends `days` days after the last page."""
    app.session_interface = _Cookies()
    app.secret_key = key
    app.config.update(
        SESSION_COOKIE_NAME="visitor",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=days * 86400,
    )
    app.extensions["form_tokens"] = URLSafeSerializer(key, salt="form")


def visitor() -> str:
    """Return the visitor's id, which cannot be guessed; create one for a new visitor."""
    if "id" not in session:
        session["id"], session.permanent = secrets.token_hex(16), True
    return str(session["id"])


def form_token(app: Flask) -> str:
    """Return the token that this visitor's forms contain."""
    return str(app.extensions["form_tokens"].dumps(visitor()))


def is_own_form(app: Flask, token: str) -> bool:
    """Say whether `token` belongs to this visitor; another site can send a form, but cannot read a token."""
    try:
        owner = str(app.extensions["form_tokens"].loads(token))
    except BadSignature:
        return False
    return "id" in session and compare_digest(owner.encode(), str(session["id"]).encode())


def secret_key(path: Path) -> bytes:
    """Return the key at `path`; create it if it is missing, readable only by its owner. Raises OSError, ValueError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    except FileExistsError:
        pass
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise ValueError(f"{path} has {len(key)} bytes but a key has {KEY_BYTES}: remove it, and a new one is created")
    return key
