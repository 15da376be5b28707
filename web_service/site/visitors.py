"""Who a visitor is, from one page to the next: a signed cookie, and tokens that only the visitor's own forms carry."""

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
    """Over HTTPS the cookie never travels in the clear; on plain http://127.0.0.1 it must."""

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - as Flask calls it
        return request.is_secure


def use_cookies(app: Flask, key: bytes, days: int) -> None:
    """Sign the session of `app` by `key`; it ends `days` days after the last page."""
    app.session_interface = _Cookies()
    app.secret_key = key
    app.config.update(
        SESSION_COOKIE_NAME="visitor",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=days * 86400,
    )
    tokens = URLSafeSerializer(key, salt="form")
    app.extensions["form_tokens"] = tokens


def visitor() -> str:
    """Return the visitor's id, which nobody can guess; a new visitor gets one."""
    if "id" not in session:
        session["id"], session.permanent = secrets.token_hex(16), True
    return str(session["id"])


def form_token(app: Flask) -> str:
    """Return what this visitor's forms carry."""
    return str(app.extensions["form_tokens"].dumps(visitor()))


def is_own_form(app: Flask, token: str) -> bool:
    """Say whether `token` was made for this visitor: another site can send a form, but not read a token."""
    try:
        whose = str(app.extensions["form_tokens"].loads(token))
    except BadSignature:
        return False
    return "id" in session and compare_digest(whose.encode(), str(session["id"]).encode())


def secret_key(path: Path) -> bytes:
    """Return the key at `path`, which is made where it is missing and which only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    except FileExistsError:
        pass
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise ValueError(f"{path} holds {len(key)} bytes, a key has {KEY_BYTES}: remove it, and a new one is made")
    return key
