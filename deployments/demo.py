"""Submit a SPEC to the running adapter, follow the build, and show the service that comes of it.

It is an ordinary client: everything it does goes through the same REST and WebSocket endpoints
that other services use.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from build_executor import settings as settings_module
from build_executor.phases import Phase
from deployments.stack import adapter_url, prefect_ui_url

_TIMEOUT = httpx.Timeout(30)
_QUIET_SECONDS = 120.0


_HOW_TO_ANSWER = """the build waits at `{checkpoint}`: see what it would change with GET, then
POST {{"approved": true}} to /builds/{build_id}/approve, or answer in Prefect's UI"""


def demo(spec_path: str, console: Console) -> bool:
    """Build the SPEC and print what became of it; whether a running service did."""
    settings = settings_module.load()
    with httpx.Client(base_url=adapter_url(settings), timeout=_TIMEOUT) as adapter:
        submitted = _json(adapter.post("/builds/submit", json={"spec_path": spec_path}))
        console.print(f"build {submitted['build_id']} of {spec_path}")
        _follow(_events(submitted["stream_url"]), console)
        build = _json(adapter.get(submitted["status_url"]))
    _show(build, console)
    console.print(f"Prefect UI:   {prefect_ui_url(settings)}/runs/flow-run/{build['build_id']}")
    console.print(f"build status: {adapter_url(settings)}{submitted['status_url']}")
    return bool(build["status"] == "completed")


def _json(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON of a documented endpoint
    if response.is_error:
        raise SystemExit(f"{response.request.url}: {response.status_code} {response.text}")
    return response.json()


def _events(stream_url: str) -> Iterator[dict[str, Any]]:
    try:
        with connect(stream_url, open_timeout=30) as stream:
            while True:
                event = json.loads(stream.recv(timeout=_QUIET_SECONDS))
                yield event
                if event["event_type"] == "end":
                    return
    except (OSError, TimeoutError, WebSocketException) as error:
        raise SystemExit(f"the stream {stream_url} broke off: {error}") from error


def _follow(events: Iterator[dict[str, Any]], console: Console) -> None:
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        bars = {
            phase.value: progress.add_task(phase.value, total=100, start=False, note="")
            for phase in Phase
            if phase is not Phase.QUEUED
        }
        for event in events:
            if event["event_type"] == "approval_required":
                progress.console.print(_HOW_TO_ANSWER.format(**event))
            bar = bars.get(event.get("phase") or "")
            if bar is not None:
                _advance(progress, bar, event)


def _advance(progress: Progress, bar: TaskID, event: dict[str, Any]) -> None:
    match event["event_type"]:
        case "phase_start":
            progress.start_task(bar)
        case "progress":
            percent, note = event["progress_percent"], event.get("message", "")
            progress.update(bar, completed=percent, note=note[:60])
        case "phase_complete":
            progress.update(bar, completed=100)
            progress.stop_task(bar)
        case "phase_failed":
            progress.update(bar, note="failed")
            progress.stop_task(bar)


def _show(build: dict[str, Any], console: Console) -> None:
    if build["status"] != "completed":
        console.print(f"build {build['status']}: {build['error']}")
        return
    for target, url in build["deployment_urls"].items():
        health = _json(httpx.get(f"{url}/health", timeout=_TIMEOUT))
        console.print(f"\n{build['service_name']} runs ({target}): {url}")
        console.print(f"{url}/health answers:")
        console.print_json(data=health)


def main() -> None:
    """Exit code 0 if the build became a running service, 1 if not."""
    parser = argparse.ArgumentParser(description=demo.__doc__)
    parser.add_argument("spec_path", help="a SPEC.md inside one of SPEC_ROOTS")
    spec_path = parser.parse_args().spec_path
    sys.exit(0 if demo(spec_path, Console()) else 1)


if __name__ == "__main__":
    main()
