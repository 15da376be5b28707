"""The key pair of a checkout: made once, shared by demo and stack, and never mixed up with one that a person set."""

from __future__ import annotations

from pathlib import Path

from scorehouse.bundles.signatures import Signer
from scorehouse.environment import read_settings
from stack.environment import environment, make_secrets, read_files, settings_of
from stack.signing import FirstSigning, make_key, private_key, signing_variables, unknown_key
from tests import signing


def checkout(root: Path, **secrets: str) -> Path:
    (root / ".env").write_text("VERIFY_KEY=\nSIGNING_KEY_FILE=\nUSE_CASE=churn\nBUCKET_NAME=bucket\n")
    (root / ".env.local").write_text("COMPOSE_PROFILES=\n")
    (root / ".secrets.env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    return root


def test_one_pair_is_made_for_demo_and_stack_and_it_fits_together(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    assert signing_variables(root) == {}
    public = make_key(root)
    assert make_key(root) == public
    make_secrets(root / ".secrets.env")
    for variables in (settings_of("local", {}, root), environment("local", {"COMMIT": "c"}, root)):
        assert variables["VERIFY_KEY"] == public
        assert variables["SIGNING_KEY_FILE"] == str(private_key(root))
        settings = read_settings(variables)
        assert Signer.of(settings, settings) is not None


def test_only_the_owner_enters_the_keys_folder_and_the_workers_container_may_read_the_file(tmp_path: Path) -> None:
    make_key(tmp_path)
    path = private_key(tmp_path)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o644


def test_keys_that_a_person_set_stay(tmp_path: Path) -> None:
    root = checkout(tmp_path, VERIFY_KEY=f"{signing.VERIFY_KEY},{signing.VERIFY_KEY}")
    make_secrets(root / ".secrets.env")
    for variables in (settings_of("local", {}, root), environment("local", {"COMMIT": "c"}, root)):
        assert variables["VERIFY_KEY"] == f"{signing.VERIFY_KEY},{signing.VERIFY_KEY}"
    assert settings_of("local", {"VERIFY_KEY": "own", "SIGNING_KEY_FILE": "mine"}, root)["SIGNING_KEY_FILE"] == "mine"


def test_the_private_key_is_no_variable_and_in_no_env_file(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    make_secrets(root / ".secrets.env")
    pem = private_key(root).read_text().splitlines()[1]
    assert pem not in str(environment("local", {"COMMIT": "c"}, root))
    assert pem not in (root / ".secrets.env").read_text() + str(read_files("local", root))


def test_a_replaced_key_is_named_until_doors_know_it(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    make_secrets(root / ".secrets.env")
    assert unknown_key(settings_of("local", {}, root)) == ""
    private_key(root).unlink()
    assert make_secrets(root / ".secrets.env") == []
    variables = settings_of("local", {}, root)
    new = unknown_key(variables)
    assert new == make_key(root)
    assert unknown_key({**variables, "VERIFY_KEY": f"{new},{variables['VERIFY_KEY']}"}) == ""


def test_older_models_are_signed_once_for_each_registry(tmp_path: Path) -> None:
    make_key(tmp_path)
    first = FirstSigning(tmp_path, "local")
    assert first.is_due
    first.mark_done()
    assert not FirstSigning(tmp_path, "local").is_due
    assert FirstSigning(tmp_path, "cloud").is_due
    first.forget()
    assert first.is_due
