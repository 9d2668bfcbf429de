"""A release that a model had a part in runs confined for as long as it runs."""

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from build_executor import deployment
from build_executor.deployment import Rollout
from build_executor.models import Check, VerifiedRelease
from build_executor.targets.local import LocalTarget
from tests.fakes.release import SERVER, Releases

pytestmark = pytest.mark.full

# The same service, and one that shows what it can read.
CURIOUS = SERVER.replace(
    '    if path == "/environment":',
    '    if path.startswith("/read"):\n'
    "        try:\n"
    '            return 200, {"text": pathlib.Path(path.removeprefix("/read")).read_text()}\n'
    "        except OSError as error:\n"
    '            return 200, {"error": type(error).__name__}\n'
    '    if path == "/environment":',
)


def passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


def live(target: LocalTarget, verified: VerifiedRelease) -> str:
    deployed = deployment.deploy(verified, [target], passes, Rollout(guard_seconds=0))
    deployment.prove(deployed, [target])
    return deployed[0].url


def confined(verified: VerifiedRelease) -> VerifiedRelease:
    release = verified.release.model_copy(update={"confined": True})
    return verified.model_copy(update={"release": release})


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own service
        body: dict[str, Any] = json.loads(response.read())
    return body


def test_it_reads_nothing_but_itself_and_keeps_its_data(
    local: LocalTarget, releases: Releases, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    curious = Releases(releases.folder, releases.service, releases.port, CURIOUS)
    url = live(local, curious.build("1.0.0"))
    assert get(f"{url}/read{secret}") == {"text": "canary"}
    assert get(f"{url}/note")["notes"] == [get(f"{url}/health")["release"]]

    url = live(local, confined(curious.build("1.1.0")))

    assert get(f"{url}/read{secret}") == {"error": "FileNotFoundError"}
    assert "canary" not in str(get(f"{url}/read/proc/1/environ"))
    assert len(get(f"{url}/note")["notes"]) == 2
    assert set(get(f"{url}/environment")) >= {"PORT", "RELEASE_ID", "DATA_DIR"}


def test_it_ends_when_it_is_stopped_and_starts_again_when_it_crashes(
    local: LocalTarget, releases: Releases
) -> None:
    verified = confined(releases.build("1.0.0"))
    url = live(local, verified)
    name = f"{releases.service}@{verified.release.id}"
    (outer,) = [local.supervisor.pid(name)]
    family = [psutil.Process(outer), *psutil.Process(outer).children(recursive=True)]
    users = {process.uids().real for process in family}

    local.stop(releases.service, verified.release.id)

    assert url
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert users - {0} or os.geteuid() != 0
