"""A staged copy of a release has to honour its contract before the release may be deployed.

The copy is what the archive holds, in folders of its own, on a port of its own, and under the
release's id, so no older version that happens to run can pass for it. It is stopped in every case,
and that it is gone is checked as well.
"""

import hashlib
import logging
import re
import shutil
import socket
import subprocess  # noqa: TID251 - the type of a running process; nothing is started here
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from build_executor import command
from build_executor.artifacts import FUZZING_REPORT, VERIFICATION_LOG, ArtifactStore
from build_executor.checks.contract import live_checks, staged_checks
from build_executor.checks.fuzz_report import Fuzzing, fuzzing_checks
from build_executor.checks.fuzzing import Schemathesis
from build_executor.errors import CommandFailed, NoAnswer, VerificationFailed
from build_executor.events import report_progress
from build_executor.files import read_untrusted
from build_executor.http_client import HttpClient
from build_executor.mesh.verifier import MeshVerifier, Verdict
from build_executor.models import Check, Finding, Release, VerifiedRelease
from build_executor.phases import Phase
from build_executor.ports import NoPort, trial_port
from build_executor.sandbox import Confinement, Sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.workspace import unpack

__all__ = ["live_checks", "staged_checks", "verify_release"]

_START_SECONDS = 30.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05
_LOG_TAIL = 256 * 1024
_PORT_LINE = re.compile(r"^(\s*port: int = )\d+$", re.MULTILINE)
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._/-]+")  # the verifier puts it into a shell command
_log = logging.getLogger(__name__)


def verify_release(
    release: Release, contract: Contract, sandbox: Sandbox, settings: Settings
) -> VerifiedRelease:
    """The release with the checks it passed; VerificationFailed with findings if it failed one."""
    folder = settings.builds / release.build_id / "verification"
    _refuse_tampered(release)
    with _staged(release, folder, sandbox, settings) as url:
        report_progress(Phase.VERIFICATION, 20, f"started a staged copy at {url}")
        checks = _contract_checks(url, contract, release)
        report_progress(Phase.VERIFICATION, 50, f"passed {len(checks)} checks")
        odd = _odd_requests(url, contract, release, settings)
    report_progress(Phase.VERIFICATION, 80, "the staged copy is stopped")
    opinion = _second_opinion(release, folder, settings)
    report_progress(Phase.VERIFICATION, 100, f"verified {release.id}")
    return VerifiedRelease(release=release, checks=(*checks, *odd, *opinion))


def _contract_checks(url: str, contract: Contract, release: Release) -> tuple[Check, ...]:
    checks = staged_checks(url, contract, release.id)
    failed = [check for check in checks if not check.passed]
    if failed:
        message = f"{len(failed)} of {len(checks)} checks of the staged copy failed"
        raise VerificationFailed(message, [_finding(check) for check in failed])
    return checks


def _odd_requests(
    url: str, contract: Contract, release: Release, settings: Settings
) -> tuple[Check, ...]:
    """What schemathesis found that does not decide; VerificationFailed if something does."""
    if settings.schemathesis_seconds == 0:
        return ()
    folder = settings.builds / release.build_id / "verification" / "schemathesis"
    program = Schemathesis(settings.schemathesis_seconds, settings.cache / "hypothesis")
    fuzzing = program.fuzz(url, contract, folder)
    store = ArtifactStore(settings.artifacts)
    store.write_value(release.build_id, FUZZING_REPORT, fuzzing)
    report_progress(Phase.VERIFICATION, 75, str(fuzzing))
    return judged(fuzzing)


def judged(fuzzing: Fuzzing) -> tuple[Check, ...]:
    """What schemathesis did, as checks; VerificationFailed if it found something that decides."""
    for finding in (*fuzzing.failures, *fuzzing.advice):
        _log.warning("%s", finding)
    if fuzzing.failures:
        message = f"{len(fuzzing.failures)} kinds of odd requests break the staged copy"
        raise VerificationFailed(message, fuzzing.failures)
    return fuzzing_checks(fuzzing)


def _refuse_tampered(release: Release) -> None:
    try:
        digest = hashlib.sha256(release.archive.read_bytes()).hexdigest()
    except OSError as error:
        raise VerificationFailed(f"the archive of {release.id} cannot be read: {error}") from error
    if digest != release.digest:
        raise VerificationFailed(f"the archive of {release.id} is not the one that was built")


@contextmanager
def _staged(release: Release, folder: Path, sandbox: Sandbox, settings: Settings) -> Iterator[str]:
    """The address of a running copy of the release, which is stopped and proven gone afterwards."""
    source, data, log = unpack(release.archive, folder / "source"), folder / "data", folder / "log"
    shutil.rmtree(data, ignore_errors=True)  # what an earlier copy kept would be in the way
    data.mkdir()
    log.unlink(missing_ok=True)
    port = _free_port()
    confinement = _confinement(release, source, data, port)
    try:
        process = sandbox.start(_argv(release.environment, port), confinement, log=log)
    except CommandFailed as error:
        raise VerificationFailed(f"the staged copy cannot be started: {error}") from error
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        command.stop(process)
        ArtifactStore(settings.artifacts).write(release.build_id, VERIFICATION_LOG, _tail(log))
        prove_gone(port)


def _argv(environment: Path, port: int) -> tuple[str, ...]:
    options = ("--host", "127.0.0.1", "--port", str(port))
    return (str(environment / "bin" / "python"), "-m", "uvicorn", "app.main:app", *options)


def _confinement(release: Release, source: Path, data: Path, port: int) -> Confinement:
    """REGISTRY_URL stays unset: a copy must not register itself."""
    return Confinement(
        workdir=source,
        readable=(release.environment,),
        writable=(data,),
        environment={
            "PORT": str(port),
            "RELEASE_ID": release.id,
            "DATA_DIR": str(data),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",  # its last words are the ones that matter
        },
        host_network=True,
    )


def wait_until_it_answers(
    url: str, process: subprocess.Popen[bytes], log: Path, *, seconds: float = _START_SECONDS
) -> None:
    """Return once /health answers at all; VerificationFailed if it ends first, or takes longer."""
    deadline = time.monotonic() + seconds
    with HttpClient(url) as client:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.get("/health")
            except NoAnswer:
                time.sleep(_POLL_SECONDS)
            else:
                return
    how = "ended at once" if process.poll() is not None else f"did not answer in {seconds:g} s"
    tail = " / ".join(_tail(log).decode("utf-8", "replace").strip().splitlines()[-8:])
    finding = Finding(gate="start", rule="health", message=tail or "no output")
    raise VerificationFailed(f"the staged copy {how}", [finding])


def prove_gone(port: int, *, seconds: float = _STOP_SECONDS) -> None:
    """Return once nothing answers at the port; VerificationFailed if something still does."""
    deadline = time.monotonic() + seconds
    while _answers(port):
        if time.monotonic() > deadline:
            raise VerificationFailed(f"something of the staged copy still answers at port {port}")
        time.sleep(_POLL_SECONDS)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    """None that the kernel or a deployment gives to somebody else until the copy opens it."""
    try:
        return trial_port()
    except NoPort as error:
        raise VerificationFailed(str(error)) from error


def _tail(log: Path) -> bytes:
    return (read_untrusted(log, 100 * _LOG_TAIL) or b"")[-_LOG_TAIL:]


def _finding(check: Check) -> Finding:
    return Finding(gate="contract", rule="operation", message=check.detail, operation=check.name)


def _second_opinion(release: Release, folder: Path, settings: Settings) -> tuple[Check, ...]:
    """The mesh verifier's, if one is configured; it decides only where the policy says so."""
    if settings.verifier_url is None or settings.verifier_policy == "off":
        return ()
    try:
        verdict = _asked(str(settings.verifier_url), release, folder)
    except NoAnswer as error:
        verdict = Verdict(decision=f"none: {error}")
    if settings.verifier_policy == "required" and not verdict.approved:
        raise VerificationFailed(f"the verifier's decision: {verdict.decision}", verdict.findings)
    for finding in verdict.findings:
        _log.warning("%s", finding)
    return (Check(name="verifier", passed=True, detail=verdict.decision),)


def _asked(url: str, release: Release, folder: Path) -> Verdict:
    droplet = folder / "droplet"
    if not _PLAIN_PATH.fullmatch(str(droplet)):
        reason = "its path may hold letters, digits, `.`, `_` and `-` only: set BUILD_EXECUTOR_HOME"
        raise NoAnswer("POST", f"{url}verify", f"the verifier cannot be given {droplet}: {reason}")
    unpack(release.archive, droplet)
    (droplet / ".venv").symlink_to(release.environment)
    config = droplet / "app" / "config.py"
    if config.is_file():  # it starts the service where the configuration says: on a port of its own
        config.write_text(_PORT_LINE.sub(rf"\g<1>{_free_port()}", config.read_text(), count=1))
    with MeshVerifier(url) as verifier:
        return verifier.verify(droplet, release.service)
