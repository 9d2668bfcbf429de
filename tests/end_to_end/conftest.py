import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.stack import ROOT, Stack
from tests.ports import free_port


@pytest.fixture(scope="session")
def stack(cache: Path) -> Iterator[Stack]:
    """One stack for all end-to-end tests; its folder has a short name, as Unix sockets need."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    running = Stack(home, cache)
    try:
        running.run("deployments.stack", "up")
        yield running
    finally:
        running.http.close()
        running.run("deployments.stack", "down")
        shutil.rmtree(home)


@pytest.fixture
def notes(stack: Stack, request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Writes the SPEC of a notes service of this test's own, in the version asked for; its path."""
    service, port = f"notes-{zlib.crc32(request.node.name.encode()) % 10_000}", free_port()
    text = (ROOT / "tests" / "specs" / "notes.md").read_text(encoding="utf-8")

    def write(version: str) -> str:
        filled = text.format(service=service, version=version, port=port)
        return stack.write_spec(f"{service}-{version}", filled)

    return write
