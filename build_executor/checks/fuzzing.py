"""Schemathesis asks a staged copy what nobody thought of: odd values, made from the contract.

It is a program of its own, in this product's environment: it is given the contract's document (not
what the service says of itself), an address on the loopback and a clean environment, follows no
redirect, and has a time that it may use. It comes after the contract's own checks, on a copy that
nobody uses, because it creates and deletes whatever it can.
"""

import json
import shutil
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from build_executor.checks.accounts import sign_in
from build_executor.checks.fuzz_report import Fuzzing, read_reports
from build_executor.errors import CommandFailed
from build_executor.files import read_untrusted
from build_executor.http_client import HttpClient
from build_executor.sandbox.confinement import Confinement
from build_executor.sandbox.plain import PlainProcess
from build_executor.spec.contract import Contract

_EVENTS, _SUMMARY, _DOCUMENT = "events.ndjson", "summary.json", "openapi.json"
_LARGEST_REPORT = 64 * 1024 * 1024
_REQUEST_SECONDS = 5
_LEAST_LIFE = 15  # its start alone may take seconds on a busy machine
_PHASES = "examples,coverage,fuzzing,stateful"
# The framework answers 405 route by route and then names the methods of one route only; nobody
# relies on `Allow`.
_LEFT_OUT = "allow_header_conformance"


PROGRAM = Path(sysconfig.get_path("scripts")) / "schemathesis"


@dataclass(frozen=True, slots=True)
class Schemathesis:
    """The program, its time in seconds, and where it keeps what each run would compute anew."""

    seconds: int
    notes: Path
    program: Path = PROGRAM

    def fuzz(self, url: str, contract: Contract, folder: Path) -> Fuzzing:
        """What its odd requests to a staged copy find; never raises for what that does.

        `folder` is made anew for it. It is killed after three times its time.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / _DOCUMENT).write_text(json.dumps(document(contract)))
        (folder / "schemathesis.toml").touch()  # else a configuration in a parent folder counts
        token = _token(url, contract)
        started = time.monotonic()
        ended = self._run(arguments(url, self.seconds, token), folder)
        return read_reports(
            read_untrusted(folder / _EVENTS, _LARGEST_REPORT) or b"",
            read_untrusted(folder / _SUMMARY, _LARGEST_REPORT) or b"",
            contract,
            ended=ended,
            seconds=time.monotonic() - started,
        )

    def _run(self, arguments: tuple[str, ...], folder: Path) -> str:
        """How it ended, as far as that can be told without its summary.

        Without its notes it spends its first second and more on tables of Unicode.
        """
        environment = {"HYPOTHESIS_STORAGE_DIRECTORY": str(self.notes)}
        confinement = Confinement(workdir=folder, environment=environment)
        seconds = max(3 * self.seconds, _LEAST_LIFE)
        try:
            PlainProcess().run((str(self.program), *arguments), confinement, timeout=seconds)
        except CommandFailed as error:
            return "killed" if error.exit_code is None else f"did not run: {str(error)[:500]}"
        return "completed"


def arguments(url: str, seconds: int, token: str | None) -> tuple[str, ...]:
    """How schemathesis is started; the same contract gets the same requests each time."""
    return (
        *("run", _DOCUMENT, "--url", url, "--phases", _PHASES, "--exclude-checks", _LEFT_OUT),
        *("--generation-deterministic", "--max-time", str(seconds)),
        *("--request-timeout", str(_REQUEST_SECONDS), "--max-redirects", "0", "--no-color"),
        *("--report", "json,ndjson"),
        *("--report-json-path", _SUMMARY, "--report-ndjson-path", _EVENTS),
        *(("--header", f"Authorization: Bearer {token}") if token else ()),
    )


def document(contract: Contract) -> JsonValue:
    """The contract's OpenAPI document without what must not be asked.

    An operation that is declared as not implemented answers 501, which is no finding; signing out
    would make the token worthless that everything else is asked with. References that lead out of
    the document are dropped: they would be fetched.
    """
    skipped = {o.name for o in contract.operations if o.rule in {"stub", "logout"}}
    paths = contract.openapi.get("paths")
    kept: dict[str, JsonValue] = {}
    for path, item in paths.items() if isinstance(paths, dict) else ():
        operations = item.items() if isinstance(item, dict) else ()
        asked = {
            method: operation
            for method, operation in operations
            if not (isinstance(operation, dict) and operation.get("operationId") in skipped)
        }
        if asked:
            kept[path] = asked
    whole = _self_contained({**contract.openapi, "paths": kept})
    return whole if contract.declared else _nullable(whole)


def _self_contained(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_self_contained(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    leads_out = isinstance(reference, str) and not reference.startswith("#")
    return {
        key: _self_contained(inner)
        for key, inner in value.items()
        if not (key == "$ref" and leads_out)
    }


def _nullable(value: JsonValue) -> JsonValue:
    """The document of a SPEC in prose, which does not say what null stands for.

    It may be sent for whatever may be absent and has no default, and the compiler's services take
    it so. The shapes of the UDC are exact.
    """
    if isinstance(value, list):
        return [_nullable(inner) for inner in value]
    if not isinstance(value, dict) or value.get("x-rule") == "udc":
        return value
    members, needed = value.get("properties"), value.get("required")
    if not isinstance(members, dict):
        return {key: _nullable(inner) for key, inner in value.items()}
    names = needed if isinstance(needed, list) else []
    shapes = {name: _nullable(shape) for name, shape in members.items()}
    either: dict[str, JsonValue] = {
        name: shape
        if name in names or _has_default(shape)
        else {"anyOf": [shape, {"type": "null"}]}
        for name, shape in shapes.items()
    }
    return {**value, "properties": either}


def _has_default(shape: JsonValue) -> bool:
    return isinstance(shape, dict) and shape.get("default") is not None


def _token(url: str, contract: Contract) -> str | None:
    """The token of an account of its own, where the contract has accounts."""
    if contract.auth is None:
        return None
    with HttpClient(url) as client:
        sign_in(client, contract)
        return client.token
