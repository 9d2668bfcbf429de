"""A Caddy of the tests' own: its admin address, its folders, and a site that is not ours."""

import json
import urllib.request
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - only to name what command.start returns
from typing import Any

from build_executor import command
from tests.ports import free_port

FOREIGN = "another site"


class Caddy:
    """Started with `--resume`, as Debian's caddy-api.service is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.admin = f"http://127.0.0.1:{free_port()}"
        self.foreign_port = free_port()
        self._process: Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        first = self.folder / "first.json"
        first.write_text(json.dumps(self._first()))
        home = str(self.folder)
        self._process = command.start(
            ("caddy", "run", "--resume", "--config", str(first)),
            log=self.folder / "log",
            environment=command.clean_environment(
                {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}
            ),
        )
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        command.stop(self._process)

    def config(self) -> Any:  # noqa: ANN401 - JSON
        with urllib.request.urlopen(f"{self.admin}/config/", timeout=5) as answer:  # noqa: S310
            return json.load(answer)

    def _answers(self) -> bool:
        try:
            self.config()
        except OSError:
            return False
        return True

    def _first(self) -> Any:  # noqa: ANN401 - JSON
        site = {
            "listen": [f"127.0.0.1:{self.foreign_port}"],
            "automatic_https": {"disable": True},
            "routes": [{"handle": [{"handler": "static_response", "body": FOREIGN}]}],
        }
        admin = {"listen": self.admin.removeprefix("http://")}
        return {"admin": admin, "apps": {"http": {"servers": {"foreign": site}}}}
