"""This product on one machine: Prefect server, two workers and the adapter, under one supervisor.

`up` starts what does not run yet and waits until it answers, `down` ends exactly that and the
services that were deployed here. Both may be repeated. `run` is both, with a wait in between.
"""

import argparse
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from build_executor import command
from build_executor import settings as settings_module
from build_executor.errors import BuildExecutorError, InvalidSettings
from build_executor.files import write_atomically
from build_executor.settings import Settings, inherited_environment
from build_executor.targets.local import local_supervisor_down, local_supervisor_up
from build_executor.targets.supervisor import FAILED_STATES, Program, Supervisor
from deployments.pools import ROOT, WORK_POOLS

_START_SECONDS = 120.0
_POLL_SECONDS = 0.1
_CHECK_SECONDS = 5.0
_MISSES = 3
_ADAPTER = "adapter"
_PREFECT_SERVER = "prefect-server"


def up(settings: Settings) -> None:
    """Start the stack; InvalidSettings if a port is taken or something does not come up."""
    supervisor, environment = _supervisor(settings), _environment(settings)
    if not supervisor.is_running():
        _refuse_taken_ports(settings)
    _say("starting Prefect server (its first start creates the database)")
    supervisor.start(environment)
    supervisor.ensure(_prefect_server(settings))
    _wait_for(_PREFECT_SERVER, _healths(settings)[_PREFECT_SERVER], supervisor)
    _say("registering the deployments of prefect.yaml")
    register = (sys.executable, "-m", "deployments.register")
    command.run(register, cwd=ROOT, environment=environment, timeout=_START_SECONDS)
    _say("starting the workers and the adapter")
    for pool in WORK_POOLS:
        supervisor.ensure(_worker(settings, pool))
    supervisor.ensure(_adapter(settings))
    local_supervisor_up(settings)
    _wait_for(_ADAPTER, _healths(settings)[_ADAPTER], supervisor)
    _say(f"build-executor: {adapter_url(settings)}   Prefect UI: {prefect_ui_url(settings)}")


def down(settings: Settings) -> None:
    """End the stack and the services it deployed; nothing else, and nothing if nothing runs."""
    _supervisor(settings).shut_down()
    local_supervisor_down(settings)


def run(settings: Settings) -> None:
    """Start the stack, stay until SIGTERM or SIGINT, and end it: what a container needs.

    What keeps the stack running is back by itself when it is killed, and else started again here.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    supervisor, environment = _supervisor(settings), _environment(settings)
    try:
        up(settings)
        while not stopped.wait(_CHECK_SECONDS):
            supervisor.start(environment)
    finally:
        down(settings)


def check(settings: Settings) -> None:
    """Return if the adapter and Prefect answer; InvalidSettings names the one that does not."""
    for name, url in _healths(settings).items():
        if not _answers(url):
            raise InvalidSettings(f"{name} does not answer at {url}")


def _healths(settings: Settings) -> dict[str, str]:
    return {
        _PREFECT_SERVER: f"{prefect_ui_url(settings)}/api/health",
        _ADAPTER: f"{adapter_url(settings)}/health",
    }


def adapter_url(settings: Settings) -> str:
    """Where the adapter answers on this machine."""
    return f"http://127.0.0.1:{settings.port}"


def prefect_ui_url(settings: Settings) -> str:
    """Where Prefect's UI is."""
    return f"http://127.0.0.1:{settings.prefect_server_api_port}"


def _supervisor(settings: Settings) -> Supervisor:
    return Supervisor(settings.build_executor_home / "stack")


def _environment(settings: Settings) -> dict[str, str]:
    """What all parts of the stack get: ours, with Prefect's data and address filled in."""
    home = str(settings.build_executor_home)
    return {
        **inherited_environment(),
        "BUILD_EXECUTOR_HOME": home,
        "PREFECT_HOME": f"{home}/prefect",
        "PREFECT_API_URL": f"{prefect_ui_url(settings)}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Of itself it writes into the environment, which may be another user's.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": f"{home}/prefect/ui",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "build_executor",
        "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        # flows/prune.py deletes old runs; what Prefect kept of them goes too.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,orphans",
        **_prefect_credentials(settings),
    }


def _prefect_credentials(settings: Settings) -> dict[str, str]:
    """Prefect asks for a password as soon as others can reach the adapter; made once, and kept."""
    if settings.is_loopback_only:
        return {}
    file = settings.build_executor_home / "stack" / "prefect-login"
    if not file.exists():
        write_atomically(file, f"operator:{secrets.token_urlsafe(24)}".encode())
    _say(f"Prefect's user and password are in {file}")
    login = file.read_text(encoding="utf-8")
    return {
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
    }


def _prefect_server(settings: Settings) -> Program:
    port = str(settings.prefect_server_api_port)
    server = ("prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
    return _program(settings, _PREFECT_SERVER, *server)


def _worker(settings: Settings, pool: str) -> Program:
    worker = ("prefect", "worker", "start", "--pool", pool, "--type", "process")
    return _program(settings, f"worker-{pool}", *worker, "--name", f"{pool}-1")


def _adapter(settings: Settings) -> Program:
    return _program(settings, _ADAPTER, "api")


def _program(settings: Settings, name: str, *module: str) -> Program:
    return Program(
        name=name,
        argv=(sys.executable, "-m", *module),
        directory=ROOT,
        log=_log(settings, name),
    )


def _log(settings: Settings, name: str) -> Path:
    return settings.build_executor_home / "logs" / f"{name}.log"


def _refuse_taken_ports(settings: Settings) -> None:
    wanted = {"PORT": settings.port, "PREFECT_SERVER_API_PORT": settings.prefect_server_api_port}
    for name, port in wanted.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                taken = f"port {port} is taken by another process: end it, or set {name}"
                raise InvalidSettings(taken) from error


def _wait_for(name: str, url: str, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(url):
        state = supervisor.state(name)
        if state in FAILED_STATES or time.monotonic() > deadline:
            log = supervisor.folder.parent / "logs" / f"{name}.log"
            raise InvalidSettings(f"{name} does not answer at {url} ({state}): see {log}")
        time.sleep(_POLL_SECONDS)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


def main() -> None:
    """Exit code 1, with one sentence, if the stack could not be started or stopped."""
    actions: dict[str, Callable[[Settings], None]] = {
        "up": up,
        "down": down,
        "run": run,
        "check": check,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=actions)
    action = parser.parse_args().action
    try:
        actions[action](settings_module.load())
    except BuildExecutorError as error:
        sys.exit(f"build-executor {action}: {error}")


if __name__ == "__main__":
    main()
