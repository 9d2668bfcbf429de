"""A real Prefect server for tests: SQLite in a folder of its own, a port of its own."""

import subprocess  # noqa: TID251 - only the type of what command.start returns
import sys
import time
from pathlib import Path

import httpx

from build_executor import command
from tests.ports import free_port

_START_SECONDS = 300  # a few, on a machine that has nothing else to do


class PrefectServer:
    """Starts and stops; the port and the data stay the same over a restart."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to use this server; add to it."""
        return command.clean_environment(
            {
                "PREFECT_HOME": str(self.home),
                "PREFECT_API_URL": self.api_url,
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "PREFECT_SERVER_UI_ENABLED": "false",
                "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
                "PREFECT_LOGGING_EXTRA_LOGGERS": "build_executor",
            }
        )

    def start(self) -> None:
        """Return when the server answers."""
        argv = [sys.executable, "-m", "prefect", "server", "start"]
        self._process = command.start(
            [*argv, "--host", "127.0.0.1", "--port", str(self.port)],
            log=self.home / "server.log",
            environment={**self.environment, "PREFECT_LOGGING_LEVEL": "WARNING"},
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError((self.home / "server.log").read_text())
            time.sleep(0.2)

    def stop(self) -> None:
        """Return when the server is gone; safe to repeat."""
        if self._process is not None:
            command.stop(self._process)
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/ready", timeout=5).is_success
        except httpx.HTTPError:
            return False
