"""The tests' key pair, and signatures as training writes them, without the product's code.

Every process that a test starts inherits VERIFY_KEY and SIGNING_KEY_FILE from `environ`.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SIGNATURE_TAG = "bundle_signature"  # of a version
SIGNATURE = "signature.json"  # of a bundle
KEY = Ed25519PrivateKey.from_private_bytes(b"the key pair of all our tests ..")
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"a key that no door has heard of ")
PUBLIC = KEY.public_key().public_bytes_raw()
VERIFY_KEY = base64.b64encode(PUBLIC).decode()


def signature(run_id: str, digest: str, use_case: str = "churn", version: int = 1, key: Ed25519PrivateKey = KEY) -> str:
    """Return the signature of a bundle."""
    statement = {"digest": digest, "run_id": run_id, "use_case": use_case, "version": version}
    signed = b"scorehouse bundle 1\n" + json.dumps(statement, separators=(",", ":"), sort_keys=True).encode()
    return json.dumps({**statement, "signature": base64.b64encode(key.sign(signed)).decode()})


def environ() -> dict[str, str]:
    """Return the settings of both keys; the private one is written to a file of this user's."""
    path = Path(tempfile.gettempdir()) / f"scorehouse-tests-{os.getuid()}.pem"
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    partial.replace(path)
    return {"VERIFY_KEY": VERIFY_KEY, "SIGNING_KEY_FILE": str(path)}
