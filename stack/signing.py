"""The key pair of this checkout: training signs models with it, and doors verify them (docs/adr/0016)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from scorehouse.bundles.signatures import create_key, public_key, read_key

FOLDER = ".signing"  # below the root; only its owner may enter it


def private_key(root: Path) -> Path:
    """Return the path of the private key."""
    return root / FOLDER / "key.pem"


def make_key(root: Path) -> str:
    """Create the key pair if there is none; return the public key. Raises OSError, SettingError."""
    path = private_key(root)
    if not path.exists() and create_key(path):
        # The worker's container has another user, and gets this file alone. Here the folder keeps others out.
        path.chmod(0o644)
    return public_key(read_key(path))


def signing_variables(root: Path) -> dict[str, str]:
    """Return the settings of a command on this machine that signs and verifies; none if there is no key pair."""
    path = private_key(root)
    return {"SIGNING_KEY_FILE": str(path), "VERIFY_KEY": public_key(read_key(path))} if path.exists() else {}


def unknown_key(variables: Mapping[str, str]) -> str:
    """Return the public half of SIGNING_KEY_FILE if VERIFY_KEY does not contain it; nothing if it does."""
    public = public_key(read_key(Path(variables["SIGNING_KEY_FILE"])))
    return "" if public in variables["VERIFY_KEY"] else public


class FirstSigning:
    """The signing of older models, which were registered without signatures: once for each env, `name`."""

    def __init__(self, root: Path, name: str):
        """Remember in a file beside the key that it was done: a writer to the registry must not cause it again."""
        self._done = root / FOLDER / f"signed-{name}"

    @property
    def is_due(self) -> bool:
        """Whether it was not done yet."""
        return not self._done.exists()

    def mark_done(self) -> None:
        """Note that it is done: a model that appears unsigned from now on is refused."""
        self._done.parent.mkdir(mode=0o700, exist_ok=True)
        self._done.touch()

    def forget(self) -> None:
        """Let it be due again: everything was removed, and a backup of an older version may be restored."""
        self._done.unlink(missing_ok=True)
