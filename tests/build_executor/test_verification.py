import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor import command, ports
from build_executor.artifacts import FUZZING_REPORT, VERIFICATION_LOG
from build_executor.errors import VerificationFailed
from build_executor.models import Release
from build_executor.phases import ErrorState
from build_executor.sandbox.plain import PlainProcess
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.verification import prove_gone, verify_release, wait_until_it_answers
from build_executor.workspace import pack
from tests.fakes.http_server import Fault
from tests.fakes.mesh import FakeVerifier
from tests.fakes.payments import UDC
from tests.fakes.sandbox import FakeSandbox

CONTRACT = Contract(service="payment-processor")
SERVICE = """
import http.server, json, os, sys
print("started with", sorted(os.environ))
told = json.load(open("udc.json"))
told["health"]["release"] = os.environ["RELEASE_ID"]
told["health"].update(json.load(open("lies.json")))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.say(200, told.get(self.path.strip("/")))
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = "trace_id" in body
        said = {"received": True, "processed_at": "2026-01-02T03:04:05Z", "result": "success"}
        self.say(200 if known else 422, {**said, "trace_id": body.get("trace_id")})
    def say(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
port = int(sys.argv[sys.argv.index("--port") + 1])
assert str(port) == os.environ["PORT"] and os.path.isdir(os.environ["DATA_DIR"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(build_executor_home=tmp_path / "home", schemathesis_seconds=0)


def release(tmp_path: Path, service: str = SERVICE, **lies: str) -> Release:
    """A release whose whole program is `service`, started as uvicorn would be."""
    source, environment = tmp_path / "source", tmp_path / "environment" / "bin"
    (source / "uvicorn").mkdir(parents=True)
    (source / "app").mkdir()
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(os.path.realpath(sys.executable))
    (source / "uvicorn" / "__main__.py").write_text(service)
    (source / "udc.json").write_text(json.dumps(UDC))
    (source / "lies.json").write_text(json.dumps(lies))
    (source / "app" / "config.py").write_text("class Settings:\n    port: int = 8350\n")
    digest = pack(source, tmp_path / "release.tar.gz")
    return Release(
        id=f"1.0.0-{digest[:12]}",
        build_id="b1",
        service="payment-processor",
        version="1.0.0",
        port=8350,
        archive=tmp_path / "release.tar.gz",
        digest=digest,
        contract_file=tmp_path / "contract.json",
        environment=environment.parent,
    )


def verify(release: Release, settings: Settings) -> list[str]:
    verified = verify_release(release, CONTRACT, PlainProcess(), settings)
    assert verified.release == release
    assert all(check.passed for check in verified.checks)
    return [check.name for check in verified.checks]


def log_of(settings: Settings) -> str:
    return (settings.artifacts / "b1" / VERIFICATION_LOG).read_text()


def test_a_release_that_honours_its_contract_is_verified(
    tmp_path: Path, settings: Settings
) -> None:
    assert "GET /health" in verify(release(tmp_path), settings)


def test_a_staged_copy_gets_what_it_needs_and_no_secret(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary")
    monkeypatch.setenv("REGISTRY_URL", "http://127.0.0.1:1")

    verify(release(tmp_path), settings)

    assert "'DATA_DIR', 'HOME'" in log_of(settings)
    assert "REGISTRY_URL" not in log_of(settings)
    assert "ANTHROPIC_API_KEY" not in log_of(settings)


@pytest.mark.parametrize("lie", [{"status": "inactive"}, {"release": "0.9-other"}])
def test_a_release_that_breaks_its_contract_is_not(
    tmp_path: Path, settings: Settings, lie: dict[str, str]
) -> None:
    with pytest.raises(VerificationFailed, match="1 of 7 checks") as failure:
        verify(release(tmp_path, **lie), settings)

    assert failure.value.state is ErrorState.VERIFICATION
    assert failure.value.findings[0].operation == "GET /health"


def test_a_second_copy_does_not_find_what_the_first_one_kept(
    tmp_path: Path, settings: Settings
) -> None:
    data = settings.builds / "b1" / "verification" / "data"
    data.mkdir(parents=True)
    (data / "records").write_text("old")

    verify(release(tmp_path), settings)

    assert list(data.iterdir()) == []


def test_what_schemathesis_did_is_a_check_and_an_artifact(
    tmp_path: Path, settings: Settings
) -> None:
    odd = settings.model_copy(update={"schemathesis_seconds": 1})

    names = verify(release(tmp_path), odd)

    assert names[-1] == "schemathesis"
    report = json.loads((settings.artifacts / "b1" / FUZZING_REPORT).read_text())
    assert (report["ended"], report["cases"]) == ("error", 0)  # this contract has no document


def test_a_release_that_does_not_start_says_why(tmp_path: Path, settings: Settings) -> None:
    broken = release(tmp_path, "raise SystemExit('no such table')")

    with pytest.raises(VerificationFailed, match="ended at once") as failure:
        verify(broken, settings)

    assert "no such table" in failure.value.findings[0].message
    assert "no such table" in log_of(settings)


def test_a_release_that_cannot_be_started_is_not_verified(
    tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(VerificationFailed, match="cannot be started"):
        verify_release(release(tmp_path), CONTRACT, FakeSandbox(), settings)


def test_a_machine_without_a_free_port_verifies_nothing(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "is_free", lambda _: False)

    with pytest.raises(VerificationFailed, match="no free port"):
        verify(release(tmp_path), settings)


def test_an_archive_that_was_changed_is_refused(tmp_path: Path, settings: Settings) -> None:
    changed = release(tmp_path)
    changed.archive.write_bytes(changed.archive.read_bytes() + b"x")

    with pytest.raises(VerificationFailed, match="not the one that was built"):
        verify(changed, settings)


def test_an_archive_that_is_gone_is_refused(tmp_path: Path, settings: Settings) -> None:
    gone = release(tmp_path)
    gone.archive.unlink()

    with pytest.raises(VerificationFailed, match="cannot be read"):
        verify(gone, settings)


def test_a_copy_that_never_answers_is_given_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = command.start(("sleep", "60"), log=log)
    try:
        with pytest.raises(VerificationFailed, match=r"did not answer in 0.1 s"):
            wait_until_it_answers("http://127.0.0.1:1", process, log, seconds=0.1)
    finally:
        command.stop(process)


def test_a_copy_that_still_answers_after_its_end_is_noticed() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as survivor,
        pytest.raises(VerificationFailed, match="still answers"),
    ):
        prove_gone(survivor.getsockname()[1], seconds=0.1)


@pytest.fixture
def verifier() -> Iterator[FakeVerifier]:
    with FakeVerifier(busy_polls=0) as verifier:
        yield verifier


def with_verifier(settings: Settings, url: str, policy: str = "required") -> Settings:
    values = {"verifier_url": url, "verifier_policy": policy}
    return Settings.model_validate({**settings.model_dump(), **values})


def test_the_meshs_verifier_is_given_a_copy_with_a_port_of_its_own(
    tmp_path: Path, settings: Settings, verifier: FakeVerifier
) -> None:
    names = verify(release(tmp_path), with_verifier(settings, verifier.url))

    folder = Path(verifier.asked["droplet_path"])
    assert names[-1] == "verifier"
    assert (folder / ".venv" / "bin" / "python").exists()
    assert "port: int = 8350" not in (folder / "app" / "config.py").read_text()


def test_what_the_verifier_rejects_is_not_verified(
    tmp_path: Path, settings: Settings, verifier: FakeVerifier
) -> None:
    verifier.decision = "FIXES_REQUIRED"
    verifier.phases = [{"name": "Quality", "checks": [{"name": "print", "status": "FAIL"}]}]

    with pytest.raises(VerificationFailed, match="decision: FIXES_REQUIRED") as failure:
        verify(release(tmp_path), with_verifier(settings, verifier.url))

    assert failure.value.findings[0].gate == "verifier"


def test_an_advisory_verifier_is_only_listened_to(
    tmp_path: Path, settings: Settings, verifier: FakeVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    verifier.decision = "FIXES_REQUIRED"
    verifier.phases = [{"name": "Quality", "checks": [{"name": "print", "status": "FAIL"}]}]

    assert "verifier" in verify(
        release(tmp_path), with_verifier(settings, verifier.url, "advisory")
    )

    assert "[verifier/Quality] print" in caplog.text


def test_a_verifier_that_is_off_is_not_asked(
    tmp_path: Path, settings: Settings, verifier: FakeVerifier
) -> None:
    verify(release(tmp_path), with_verifier(settings, verifier.url, "off"))

    assert verifier.requests == []


def test_a_required_verifier_that_is_away_is_a_failure(
    tmp_path: Path, settings: Settings, verifier: FakeVerifier
) -> None:
    verifier.always = Fault.SERVER_ERROR

    with pytest.raises(VerificationFailed, match="decision: none: no answer to POST"):
        verify(release(tmp_path), with_verifier(settings, verifier.url))


def test_a_path_that_a_shell_would_read_is_not_given_to_the_verifier(
    tmp_path: Path, verifier: FakeVerifier
) -> None:
    settings = Settings(build_executor_home=tmp_path / "a home", schemathesis_seconds=0)

    with pytest.raises(VerificationFailed, match="set BUILD_EXECUTOR_HOME"):
        verify(release(tmp_path), with_verifier(settings, verifier.url))

    assert verifier.requests == []


def test_a_service_without_a_configuration_is_given_as_it_is(
    tmp_path: Path, settings: Settings, verifier: FakeVerifier
) -> None:
    bare = release(tmp_path)
    (tmp_path / "source" / "app" / "config.py").unlink()
    digest = pack(tmp_path / "source", bare.archive)

    names = verify(
        bare.model_copy(update={"digest": digest}), with_verifier(settings, verifier.url)
    )

    assert "verifier" in names
