"""Releases that start in a tenth of a second: a whole HTTP service in the standard library.

The package is called `uvicorn` so that the target starts it exactly like a generated service; the
working directory comes first on the path of `python -m`.
"""

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from build_executor.models import Release, VerifiedRelease

SERVER = """
import asyncio, json, os, pathlib, signal, sys

behaviour = json.loads(pathlib.Path("behaviour.json").read_text())
release, data = os.environ["RELEASE_ID"], pathlib.Path(os.environ["DATA_DIR"])
host, port = (sys.argv[sys.argv.index(option) + 1] for option in ("--host", "--port"))
busy = 0

async def answer(path):
    if path == "/health" and not behaviour.get("unhealthy"):
        says = behaviour.get("says", release)
        return 200, {"status": "active", "release": says, "pid": os.getpid()}
    if path == "/crash":
        os._exit(3)
    if path == "/broken":
        return 500 if behaviour.get("is_broken") else 200, {"release": release}
    if path == "/slow":
        await asyncio.sleep(0.5)
        return 200, {"release": release}
    if path == "/note":
        with (data / "notes").open("a") as notes:
            notes.write(release + "\\n")
        return 200, {"notes": (data / "notes").read_text().split()}
    if path == "/environment":
        return 200, dict(os.environ)
    return 500, {"release": release}

async def serve(reader, writer):
    global busy
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            busy += 1
            try:
                status, body = await answer(head.split()[1].decode())
                text = json.dumps(body).encode()
                start = b"HTTP/1.1 %d X\\r\\ncontent-length: %d\\r\\n\\r\\n" % (status, len(text))
                writer.write(start + text)
                await writer.drain()
            finally:
                busy -= 1
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()

async def main():
    if "crash" in behaviour:
        sys.exit("cannot start: " + behaviour["crash"])
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    if "dies_after" in behaviour:
        loop.call_later(behaviour["dies_after"], os._exit, 3)
    server = await asyncio.start_server(serve, host, int(port))
    await stopped.wait()
    server.close()
    while busy:
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


@dataclass(frozen=True)
class Releases:
    """Builds releases of one service below `folder`."""

    folder: Path
    service: str = "shop"
    port: int | None = None
    server: str = SERVER

    def build(self, version: str, **behaviour: object) -> VerifiedRelease:
        """A release; it may be unhealthy=True, crash="why", says="another id", dies_after=4."""
        folder = self.folder / version
        files = {
            "uvicorn/__main__.py": self.server,
            "behaviour.json": json.dumps(behaviour),
            "VERSION": version,
            "requirements.txt": "# the standard library is enough\n",
        }
        archive = write_archive(folder / "release.tar.gz", files)
        digest = digest_of(archive)
        release = Release(
            id=f"{version}-{digest[:12]}",
            build_id=f"build-{version}",
            service=self.service,
            version=version,
            port=self.port,
            archive=archive,
            digest=digest,
            contract_file=folder / "contract.json",
            environment=_environment(folder / "environment"),
        )
        return VerifiedRelease(release=release, checks=())


def digest_of(archive: Path) -> str:
    """Its SHA-256, hexadecimal."""
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def _environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    if not python.is_symlink():
        python.symlink_to(os.path.realpath(sys.executable))
    return folder


def write_archive(path: Path, files: dict[str, str]) -> Path:
    """A tar.gz of these files; the same files give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))
    return path
