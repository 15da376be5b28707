"""Signs registered models that nobody has signed yet: `python -m model_orchestration.sign <run ID>`, or `--served`.

`--served` is for an upgrade: it signs the versions that serve, are production, were deployed before, or score in
shadow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from contextlib import suppress

from scorehouse.bundles.cache import BundleCache
from scorehouse.bundles.signatures import SIGNATURE, Signer, Statement, Trust
from scorehouse.environment import settings_or_exit
from scorehouse.errors import BundleError, RunNotFound, ScorehouseError, SettingError
from scorehouse.registry.client import PRODUCTION, SIGNATURE_TAG, Registry, Version
from scorehouse.registry.history import History
from scorehouse.settings import Settings

_EVERY_BUNDLE = Trust(keys=(), unsigned=True)  # whoever signs a bundle trusts it


def used_versions(registry: Registry, use_case: str, shadow_run_id: str = "") -> list[Version]:
    """Return the versions that serve, are production, were deployed before, or score in shadow, oldest first.

    Raises:
        RegistryUnavailable: MLflow cannot be reached.
    """
    used = {change.version for change in History(registry, use_case).changes()}
    with suppress(RunNotFound):
        used.add(registry.served(use_case))
    with suppress(RunNotFound):
        used.add(registry.version_by_alias(use_case, PRODUCTION))
    if shadow_run_id:
        with suppress(RunNotFound):
            used.add(registry.version_of_run(use_case, shadow_run_id))
    return sorted(used, key=lambda version: int(version.number))


def sign_versions(
    registry: Registry, cache: BundleCache, signer: Signer, use_case: str, versions: Iterable[Version]
) -> tuple[list[str], list[str]]:
    """Sign each bundle that is as it was registered; return a line for each that was signed, and for each that was not.

    Raises:
        RegistryUnavailable, RunNotFound, CacheUnavailable: a bundle cannot be read, or a signature not be written.
    """
    signed = []
    refused = []
    for version in versions:
        try:
            _sign(registry, cache, signer, use_case, version)
        except BundleError as error:
            refused.append(f"not signed: {error}")
        else:
            signed.append(f"signed version {version.number} of {use_case}, run {version.run_id}")
    return signed, refused


def _sign(registry: Registry, cache: BundleCache, signer: Signer, use_case: str, version: Version) -> None:
    if version.digest is None:
        raise BundleError(
            f"run {version.run_id} was registered without a digest, so nobody can tell whether its bundle was changed: "
            "retrain"
        )
    manifest = cache.load(version).manifest
    if manifest.use_case != use_case:
        raise BundleError(f"run {version.run_id} is a model for {manifest.use_case}, not for {use_case}")
    signature = signer.sign(Statement(use_case, manifest.use_case_version, version.run_id, version.digest))
    registry.put_artifact(version.run_id, f"bundle/{SIGNATURE}", signature.encode())
    registry.tag_version(use_case, version, SIGNATURE_TAG, signature)


def sign(settings: Settings, wanted: str = "") -> tuple[list[str], list[str]]:
    """Sign the model of the run or alias `wanted`; if it is empty, every model that is in use and not signed yet.

    Return and raise as `sign_versions`.

    Raises:
        SettingError: there is no private key.
    """
    signer = Signer.of(settings, settings)
    if signer is None:
        raise SettingError("SIGNING_KEY_FILE is empty: set it to the private key (`make secrets` generates one)")
    registry = Registry.of(settings, timeout=30.0)
    cache = BundleCache(settings.bundle_folder, registry, _EVERY_BUNDLE)
    if wanted:
        versions = [cache.ask(settings.use_case, wanted)]
    else:
        used = used_versions(registry, settings.use_case, settings.shadow_run_id)
        versions = [version for version in used if version.signature is None]
    return sign_versions(registry, cache, signer, settings.use_case, versions)


def main() -> None:
    """Sign and print a line for each version; status 1 and the reason if the run that was asked for is not signed."""
    parser = argparse.ArgumentParser(prog="python -m model_orchestration.sign", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("run_id", nargs="?", help="the run whose model is signed")
    which.add_argument("--served", action="store_true", help="sign every model that serves or served, once")
    options = parser.parse_args()
    if not options.run_id and not options.served:
        sys.exit("sign: RUN_ID is empty: run `make sign RUN_ID=<run ID>`; MLflow lists the runs")
    settings = settings_or_exit()
    try:
        signed, refused = sign(settings, options.run_id or "")
    except ScorehouseError as error:
        sys.exit(f"sign: {error}")
    if options.run_id and refused:
        sys.exit(f"sign: {refused[0]}")
    sys.stdout.write("".join(f"{line}\n" for line in [*signed, *refused] or ["no model in use needs a signature"]))


if __name__ == "__main__":
    main()
