"""Only what a known key has signed is loaded, and the key is made once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from scorehouse.bundles.signatures import Signer, Statement, Trust, create_key, public_key, read_key
from scorehouse.environment import read_settings
from scorehouse.errors import BundleError, SettingError
from tests import signing
from tests.unit.toy import RUN_ID

DIGEST = "d" * 64
SIGNED = signing.signature(RUN_ID, DIGEST)
TRUST = Trust((signing.PUBLIC,))


def changed(**values: object) -> str:
    return json.dumps({**json.loads(SIGNED), **values})


def test_what_the_known_key_signed_is_accepted() -> None:
    assert TRUST.verify("run a", DIGEST, SIGNED) == Statement("churn", 1, RUN_ID, DIGEST)
    assert Signer(signing.KEY).sign(Statement("churn", 1, RUN_ID, DIGEST)) == json.dumps(
        json.loads(SIGNED), separators=(",", ":"), sort_keys=True
    )


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (None, "run a is not signed: if you trust it, sign it on the machine that trains .`make sign RUN_ID=…`"),
        ("", "run a is not signed"),
        (signing.signature(RUN_ID, DIGEST, key=signing.OTHER_KEY), "run a is not signed by a key in VERIFY_KEY"),
        (signing.signature(RUN_ID, "e" * 64), "run a has the signature of another bundle"),
        (changed(signature=json.loads(signing.signature(RUN_ID, "e" * 64))["signature"]), "not signed by a key"),
        (changed(run_id="b" * 32), "not signed by a key"),
        (changed(use_case="wine"), "not signed by a key"),
        (changed(version=2), "not signed by a key"),
        (changed(signature=""), "not signed by a key"),
        (changed(signature="§"), "run a has a damaged signature"),
        (changed(signature=7), "damaged"),
        (changed(version="one"), "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("7", "damaged"),
        ("{}", "damaged"),
        ("\x00", "damaged"),
    ],
)
def test_everything_else_is_refused_with_the_reason(signature: str | None, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        TRUST.verify("run a", DIGEST, signature)
    with pytest.raises(BundleError, match=said):  # the setting is for doors that have no key at all
        Trust((signing.PUBLIC,), unsigned=True).verify("run a", DIGEST, signature)


def test_a_digest_that_nobody_recorded_is_signed_by_nobody() -> None:
    with pytest.raises(BundleError, match="another bundle"):
        TRUST.verify("run a", None, SIGNED)


def test_while_a_key_is_replaced_both_are_accepted() -> None:
    other = signing.OTHER_KEY.public_key().public_bytes_raw()
    for key in (signing.KEY, signing.OTHER_KEY):
        assert Trust((other, signing.PUBLIC)).verify("run a", DIGEST, signing.signature(RUN_ID, DIGEST, key=key))


def test_without_a_key_nothing_is_accepted_unless_a_setting_says_so() -> None:
    with pytest.raises(BundleError, match=r"VERIFY_KEY is empty: set it .*, or set UNSIGNED_BUNDLES=true"):
        Trust(()).verify("run a", DIGEST, SIGNED)
    assert Trust((), unsigned=True).verify("run a", DIGEST, None) is None


def test_the_settings_name_keys_and_refuse_what_is_none() -> None:
    other = public_key(signing.OTHER_KEY)
    both = read_settings({"VERIFY_KEY": f"{other}, {signing.VERIFY_KEY}"})
    assert Trust.of(both) == Trust((signing.OTHER_KEY.public_key().public_bytes_raw(), signing.PUBLIC))
    assert Trust.of(read_settings({"UNSIGNED_BUNDLES": "true"})) == Trust((), unsigned=True)
    for bad in ("x", "AAAA", f"{other};{other}", signing.VERIFY_KEY[:-2]):
        with pytest.raises(SettingError, match=r"VERIFY_KEY=.*one or more public keys of 44 characters"):
            read_settings({"VERIFY_KEY": bad})


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "key.pem"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: create_key(path), range(8)))
    assert sum(made) == 1
    first = path.read_bytes()
    assert not create_key(path) and path.read_bytes() == first
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["key.pem"]
    assert len(public_key(read_key(path))) == 44


def test_a_file_that_holds_no_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_key(path)
    path.write_text("not a key")
    with pytest.raises(SettingError, match="not an unencrypted private key in PEM format"):
        read_key(path)
    path.write_bytes(generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SettingError, match="not an Ed25519 key: `make secrets` generates one"):
        read_key(path)


def test_training_refuses_a_key_that_no_door_knows(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    create_key(path)
    known = public_key(read_key(path))
    settings = read_settings({"SIGNING_KEY_FILE": str(path), "VERIFY_KEY": known})
    assert Signer.of(settings, settings) is not None
    settings = read_settings({"SIGNING_KEY_FILE": str(path), "VERIFY_KEY": signing.VERIFY_KEY})
    with pytest.raises(SettingError, match="is not in VERIFY_KEY, so no door would accept what it signs"):
        Signer.of(settings, settings)
    assert Signer.of(read_settings({}), read_settings({})) is None
