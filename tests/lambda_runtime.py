"""Runs the Lambda door in tests: its own environment, also as a zip, under AWS's runtime interface emulator.

All are kept in var/engines. The emulator is part of the Linux wheel of AWS's SAM CLI.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.engines import FOLDER, installing, run
from tests.processes import HOST, PYTHONPATH, ROOT, free_port
from tests.servers import Server

REQUIREMENTS = ROOT / "requirements" / "lambda.txt"
SAM_CLI = "aws-sam-cli==1.170.0 --hash=sha256:24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf"
HANDLER = "server.aws_lambda.main.handler"
INVOKE = "/2015-03-31/functions/function/invocations"  # where the emulator listens for events


def install_environment() -> Path:
    """Return an environment with the image's packages and no others."""
    place = FOLDER / "lambda"
    with installing(place, REQUIREMENTS.read_text()) as needed:
        if needed:
            run([sys.executable, "-m", "venv", str(place)])
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run([*pip, "--require-hashes", "-r", str(REQUIREMENTS)])
            _zip_packages(place)
    return place


def install_emulator() -> Path:
    """Return AWS's runtime interface emulator for this machine."""
    environment, place = install_environment(), FOLDER / "lambda-rie"
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    with installing(place, SAM_CLI) as needed:
        if needed:
            (place / "requirements.txt").write_text(SAM_CLI)
            pip = [str(environment / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
            wanted = ["--no-deps", "--require-hashes", "-r", str(place / "requirements.txt"), "-d", str(place)]
            run([*pip, "download", *wanted])
            with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
                (place / "rie").write_bytes(wheel.read(f"samcli/local/rapid/aws-lambda-rie-{machine}"))
            (place / "rie").chmod(0o755)
    return place / "rie"


def function_zip(path: Path) -> bytes:
    """Return the zip that is uploaded as the function: the product's code and the packages that it needs."""
    shutil.copy(install_environment() / "packages.zip", path)
    with zipfile.ZipFile(path, "a") as package:
        for root, folder in ((ROOT / "src", "scorehouse"), (ROOT, "use_cases"), (ROOT, "server")):
            for file in (root / folder).rglob("*.py"):
                package.write(file, file.relative_to(root))
    return path.read_bytes()


@contextmanager
def image_command(folder: Path, **environ: str) -> Iterator[str]:
    """Run the image's command under the runtime interface emulator; yield the address that takes events."""
    environment, port = install_environment(), free_port()
    command = [str(install_emulator()), "--runtime-interface-emulator-address", f"{HOST}:{port}"]
    command += ["--runtime-api-address", f"{HOST}:{free_port()}", "python", "-m", "awslambdaric", HANDLER]
    settings = {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": PYTHONPATH,
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "60",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **environ,
    }
    with Server(command, f"http://{HOST}:{port}", folder / "rie.log", settings).running():
        yield f"http://{HOST}:{port}{INVOKE}"


def invoke(address: str, event: dict[str, Any]) -> Any:
    """Return the function's answer to `event`."""
    answer = requests.post(address, json=event, timeout=60)
    answer.raise_for_status()
    return answer.json()


def _zip_packages(place: Path) -> None:
    """Zip the installed packages without those that only install others."""
    packages = Path(
        subprocess.run(
            [str(place / "bin" / "python"), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()
    )  # fmt: skip
    unneeded = {"pip", "setuptools", "_distutils_hack", "__pycache__"}
    with zipfile.ZipFile(place / "packages.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for file in packages.rglob("*"):
            if file.is_file() and not unneeded & set(file.relative_to(packages).parts):
                package.write(file, file.relative_to(packages))
