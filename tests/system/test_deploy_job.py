"""The deploy job against a machine of its own: sshd with a pinned host key, a checkout, the stack without Docker."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import signing
from tests.git import git
from tests.models import ONNX, Model
from tests.processes import HOST, ROOT, free_port
from tests.servers import Server
from tests.system.running_stack import RunningStack


@dataclass
class Project:
    """The repository that people push to, the machine's clone of it, and how to reach the machine."""

    origin: Path
    machine: Path
    port: int
    keys: Path

    def push(self, run_id: str, message: str = "another run") -> str:
        """Commit another RUN_ID in .env.cloud on main, as a person does; return the commit."""
        file = self.origin / ".env.cloud"
        file.write_text(re.sub(r"(?m)^RUN_ID=.*$", f"RUN_ID={run_id}", file.read_text()))
        git(self.origin, "commit", "-qam", message)
        return git(self.origin, "rev-parse", "HEAD")

    def deploy(self, commit: str, host_keys: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run the workflow's one step."""
        environ = {
            **os.environ, "DEPLOY_HOST": HOST, "DEPLOY_USER": getpass.getuser(), "DEPLOY_PORT": str(self.port),
            "DEPLOY_SSH_KEY": (self.keys / "deploy").read_text(),
            "DEPLOY_HOST_KEYS": host_keys or f"[{HOST}]:{self.port} {(self.keys / 'host.pub').read_text()}",
        }  # fmt: skip
        command = [str(ROOT / "deploy" / "push.sh"), commit]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=180, check=False)

    def roll_back(self) -> subprocess.CompletedProcess[str]:
        """Do what `make rollback env=cloud` does on the machine."""
        environ = {**os.environ, "PYTHONPATH": f"{self.machine / 'src'}:{self.machine}"}
        command = [sys.executable, "-m", "stack.host", "cloud", "server.rollback"]
        return subprocess.run(command, cwd=self.machine, env=environ, capture_output=True, text=True, check=False)

    def at(self) -> str:
        """Return the commit that the machine has checked out."""
        return git(self.machine, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def project(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A repository whose .env.cloud names this stack, and a machine with a clone of it, which one key may deploy to."""
    folder = tmp_path_factory.mktemp("project")
    origin, machine, keys = folder / "origin", folder / "machine", folder / "keys"
    origin.mkdir()
    wanted = ["deploy", "stack", "server", "src", "use_cases", ".env", ".env.cloud"]
    tracked = subprocess.run(["git", "ls-files", *wanted], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    for name in tracked.split() or [str(p.relative_to(ROOT)) for w in wanted for p in files(ROOT / w)]:
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, origin / name)
    settings = {
        "MLFLOW_ADDRESS": stack.mlflow.address, "SCORER_PORT": stack.scorer.url.rpartition(":")[2],
        "DOORS": ",".join(stack.doors),
    }  # fmt: skip
    text = (origin / ".env.cloud").read_text()
    text += "".join(f"{name}={value}\n" for name, value in settings.items())
    (origin / ".env.cloud").write_text(text)
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "first")
    git(folder, "clone", "-q", str(origin), str(machine))
    (machine / ".secrets.env").write_text(f"VERIFY_KEY={signing.VERIFY_KEY}\n")
    keys.mkdir()
    for name in ("deploy", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / name], check=True)
    with sshd(keys, machine).running() as server:
        yield Project(origin, machine, server.port, keys)


def files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts]


def sshd(keys: Path, machine: Path) -> Server:
    """An sshd on a free port, whose one key may run deploy/vm.sh of the machine's checkout and nothing else."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists():
        raise AssertionError("these tests need sshd: run `make packages`")
    Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
    python = f"env PYTHONPATH={machine / 'src'}:{machine} {sys.executable} -m stack.host cloud"
    commands = {
        "SCOREHOUSE_START": f"{python} server.deploy --if-changed",
        "SCOREHOUSE_BUILD": f"{python} server.deploy --if-changed",
        "SCOREHOUSE_CHECK": str(keys / "check.sh"),
        "SCOREHOUSE_HISTORY": f"{python} server.deployments",
    }
    check = keys / "check.sh"  # fails once when a test asks for it
    check.write_text(f"#!/bin/sh\nrm {keys / 'fail'} 2>/dev/null && exit 1\nexec {python} server.check\n")
    check.chmod(0o755)
    script = keys / "forced.sh"
    exports = "\n".join(f"export {name}='{value}'" for name, value in commands.items())
    script.write_text(f"#!/bin/sh\n{exports}\nexec {machine / 'deploy' / 'vm.sh'}\n")
    script.chmod(0o755)
    public = (keys / "deploy.pub").read_text()
    (keys / "authorized_keys").write_text(f'command="{script}",restrict {public}')
    port = free_port()
    (keys / "sshd_config").write_text(
        f"Port {port}\nListenAddress {HOST}\nHostKey {keys / 'host'}\nAuthorizedKeysFile {keys / 'authorized_keys'}\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
        f"PermitRootLogin prohibit-password\nPidFile {keys / 'sshd.pid'}\n"
    )
    command = [program, "-D", "-e", "-f", str(keys / "sshd_config")]
    return Server(command, f"ssh://{HOST}:{port}", keys / "sshd.log")


def test_a_valid_run_is_deployed_and_a_damaged_one_changes_nothing(
    project: Project, stack: RunningStack, toy: Model
) -> None:
    good, better = (stack.mlflow.with_bundle(toy) for _ in range(2))
    for run_id in (good, better):
        commit = project.push(run_id)
        done = project.deploy(commit)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"all doors are serving run {run_id} " in done.stdout
        assert f"run {run_id} predicts churn chance" in done.stdout
        assert (project.at(), stack.served()) == (commit, {run_id})
    assert f"commit {commit[:12]}" in stack.command("server.deployments").stdout.splitlines()[1]
    bad = stack.mlflow.with_bundle(toy, damage={ONNX: b"nothing"})
    done = project.deploy(project.push(bad))
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"deploy: run {bad}: {ONNX} is damaged" in done.stderr
    assert f"gone back to {commit}" in done.stderr
    assert (project.at(), stack.served()) == (commit, {better})


def test_a_rollback_on_the_machine_lasts_until_a_commit_changes_run_id(
    project: Project, stack: RunningStack, toy: Model
) -> None:
    first, second, third = (stack.mlflow.with_bundle(toy) for _ in range(3))
    for run_id in (first, second):
        assert project.deploy(project.push(run_id)).returncode == 0
    done = project.roll_back()
    assert done.returncode == 0 and stack.served() == {first}, done.stderr
    with (project.origin / ".env.cloud").open("a") as file:
        file.write("# a remark\n")
    done = project.deploy(project.push(second, "nothing that matters"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"RUN_ID={second} is not deployed, because it was deployed before" in done.stdout
    assert stack.served() == {first}

    (project.keys / "fail").touch()  # what the next commit brings does not answer
    done = project.deploy(project.push(third))
    assert done.returncode == 1, done.stdout + done.stderr
    assert stack.served() == {first}, "going back to the commit must not deploy the run that was rolled back from"

    done = project.deploy(project.push(second, "take back the commit that failed"))
    assert done.returncode == 0 and stack.served() == {first}, done.stdout + done.stderr
    fourth = stack.mlflow.with_bundle(toy)
    done = project.deploy(project.push(fourth))
    assert done.returncode == 0 and stack.served() == {fourth}, done.stdout + done.stderr


def test_a_run_id_in_the_machines_own_file_is_refused_because_it_would_hide_every_commits(project: Project) -> None:
    own = project.machine / ".env.cloud.machine"
    own.write_text(f"RUN_ID={'e' * 32}\n")
    try:
        done = project.deploy(project.at())
    finally:
        own.write_text("# RUN_ID=\n")
    assert done.returncode == 2 and "RUN_ID in .env.cloud.machine overrides every commit's" in done.stderr
    assert git(project.machine, "status", "--porcelain", "--untracked-files=no") == ""


def test_the_key_can_only_deploy_commits_of_main(project: Project) -> None:
    before = project.at()
    git(project.origin, "checkout", "-qb", "aside")
    aside = project.push("e" * 32)
    git(project.origin, "checkout", "-q", "main")
    for commit, reason in ((aside, "is not on main"), ("rm -rf /", "40 hex digits"), ("-h", "40 hex digits")):
        done = project.deploy(commit)
        assert done.returncode == 2 and reason in done.stderr, done.stderr
    assert project.at() == before


def test_a_host_key_that_is_not_the_pinned_one_stops_the_job_before_anything_is_sent(project: Project) -> None:
    other = f"[{HOST}]:{project.port} {(project.keys / 'deploy.pub').read_text()}"
    done = project.deploy(project.at(), other)
    assert done.returncode == 255 and "Host key verification failed" in done.stderr


@pytest.mark.parametrize(
    ("line", "run_id"),
    [
        ("RUN_ID=", ""),
        ("RUN_ID=''", ""),
        (f"RUN_ID={'a' * 32}", "a" * 32),
        (f"RUN_ID='{'a' * 32}'", "a" * 32),
        (f'export RUN_ID = "{"a" * 32}" # the best\r', "a" * 32),
        ("RUN_ID=production", "production"),
        (f"# RUN_ID={'a' * 32}\nSHADOW_RUN_ID={'b' * 32}", ""),
    ],
)
def test_the_workflow_reads_the_run_of_a_commit_however_it_is_quoted(line: str, run_id: str, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".env.cloud").write_bytes(f"USE_CASE=churn\n{line}\n".encode())
    git(tmp_path, "add", "-f", ".env.cloud")
    git(tmp_path, "commit", "-qm", "a run")
    command = [str(ROOT / "deploy" / "run-id.sh"), "HEAD"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == run_id


def test_every_action_of_the_workflows_is_pinned_to_a_commit() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [w.name for w in workflows] == ["ci.yml", "deploy.yml"]
    for workflow in workflows:
        jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
        used = [step["uses"] for job in jobs for step in job["steps"] if "uses" in step]
        assert used and all(re.search(r"@[0-9a-f]{40}$", action) for action in used)
