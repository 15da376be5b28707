"""Signatures of bundles: training signs what it registers, and no process loads a bundle without a trusted signature.

A signature is a line of JSON: the statement (use case, its version, run, digest) and an Ed25519 signature of it. It is
a tag of the registered version and a file of the bundle, for a bundle that is packed with a door (docs/adr/0016).
"""

from __future__ import annotations

import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from scorehouse.errors import BundleError, SettingError
from scorehouse.settings import ServingSettings, TrainingSettings, verify_keys

SIGNATURE = "signature.json"  # beside bundle.json
_ABOUT = b"scorehouse bundle 1\n"  # what is signed begins with it, so that a signature means nothing else


@dataclass(frozen=True, slots=True)
class Statement:
    """What a signature says: the bundle with this digest is this run's, for this version of this use case."""

    use_case: str
    version: int
    run_id: str
    digest: str

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        return _ABOUT + orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class Trust:
    """Which bundles a process may load: those signed by one of `keys` or, without any key, perhaps unsigned ones."""

    keys: tuple[bytes, ...]
    unsigned: bool = False

    @classmethod
    def of(cls, settings: ServingSettings) -> Trust:
        """Return what VERIFY_KEY and UNSIGNED_BUNDLES say."""
        return cls(verify_keys(settings.verify_key), settings.unsigned_bundles)

    def verify(self, name: str, digest: str | None, signature: str | None) -> Statement | None:
        """Return what the signature of the bundle with `digest` says; None if unsigned bundles may be loaded.

        `name` says in messages which bundle it is. The caller compares the statement with the bundle that it loads.

        Raises:
            BundleError: the bundle is not signed, or not by a key in VERIFY_KEY, or there is no key to verify it.
        """
        if not self.keys:
            if self.unsigned:
                return None
            raise BundleError(
                f"{name} cannot be verified because VERIFY_KEY is empty: set it to VERIFY_KEY of .secrets.env on the "
                "machine that trains (`make secrets` generates it), or set UNSIGNED_BUNDLES=true to accept any bundle"
            )
        if not signature:
            raise BundleError(
                f"{name} is not signed: if you trust it, sign it on the machine that trains (`make sign RUN_ID=…`); "
                "otherwise deploy another run"
            )
        statement, signed = _parse(signature, name)
        if statement.digest != digest:
            raise BundleError(f"{name} has the signature of another bundle: deploy another run or retrain")
        if not any(_is_valid(key, signed, statement) for key in self.keys):
            raise BundleError(
                f"{name} is not signed by a key in VERIFY_KEY: copy VERIFY_KEY from .secrets.env of the machine that "
                "trains, or deploy another run"
            )
        return statement


@dataclass(frozen=True, slots=True)
class Signer:
    """The private key of a machine that trains."""

    key: Ed25519PrivateKey

    @classmethod
    def of(cls, training: TrainingSettings, serving: ServingSettings) -> Signer | None:
        """Return the signer with the key in SIGNING_KEY_FILE, or None if that is empty.

        Raises:
            SettingError: the file holds no such key, or VERIFY_KEY is set but does not contain its public key.
        """
        if not training.signing_key_file:
            return None
        signer = cls(read_key(Path(training.signing_key_file)))
        keys = verify_keys(serving.verify_key)
        if keys and signer.key.public_key().public_bytes_raw() not in keys:
            raise SettingError(
                f"SIGNING_KEY_FILE={training.signing_key_file}: its public key {public_key(signer.key)} is not in "
                "VERIFY_KEY, so no door would accept what it signs: add it to VERIFY_KEY (separated by a comma)"
            )
        return signer

    def sign(self, statement: Statement) -> str:
        """Return the signature of a bundle, as doors read it."""
        signature = b64encode(self.key.sign(statement.signed)).decode()
        return orjson.dumps({**asdict(statement), "signature": signature}, option=orjson.OPT_SORT_KEYS).decode()


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in the PEM file `path`. Raises SettingError."""
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise SettingError(f"SIGNING_KEY_FILE={path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingError(f"SIGNING_KEY_FILE={path} is not an unencrypted private key in PEM format") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingError(f"SIGNING_KEY_FILE={path} is not an Ed25519 key: `make secrets` generates one")
    return key


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the public half of `key` as VERIFY_KEY contains it."""
    return b64encode(key.public_key().public_bytes_raw()).decode()


def create_key(path: Path) -> bool:
    """Write a new private key to `path`, which only its owner may read; return False if there is a file already.

    The file appears with all of its content. If two processes create it at once, one of them succeeds.
    """
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(pem)
    try:
        path.hardlink_to(partial)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    return True


def _parse(text: str, name: str) -> tuple[Statement, bytes]:
    """The statement and the bytes of a signature. Raises BundleError."""
    with suppress(ValueError, TypeError, KeyError):
        found: Mapping[str, Any] = orjson.loads(text)
        statement = Statement(str(found["use_case"]), int(found["version"]), str(found["run_id"]), str(found["digest"]))
        return statement, b64decode(found["signature"], validate=True)
    raise BundleError(f"{name} has a damaged signature: deploy another run or retrain")


def _is_valid(key: bytes, signature: bytes, statement: Statement) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, statement.signed)
    except InvalidSignature:
        return False
    return True
