"""A small Docker engine: the calls of its API that we use, on a unix socket, without a kernel.

Images are their labels and what their releases were told to do; a running container answers
`/health` at its own address, one of this machine's loopback. The target's conformance suite runs
against it and the real one.
"""

import contextlib
import io
import json
import re
import socketserver
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.forwarder import running_forwarder

BASE = "sha256:" + "b" * 64
Answer = tuple[int, bytes]
_numbers = iter(range(1, 1_000_000))


def _new_id() -> str:
    return f"{next(_numbers):064x}"


@dataclass
class Image:
    id: str
    tag: str
    labels: dict[str, str] = field(default_factory=dict)
    behaviour: dict[str, Any] = field(default_factory=dict)


@dataclass
class Container:
    id: str
    name: str
    image: Image
    config: dict[str, Any]
    status: str = "created"
    restarts: int = 0
    exit_code: int = 0
    out_of_memory: bool = False
    said: str = ""
    forwards: Path | None = None  # the table of routes
    behaviour: dict[str, Any] = field(default_factory=dict)  # of the release that is put into it
    runs: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.config.get("Labels") or {}
        return labels

    @property
    def address(self) -> str:
        (endpoint,) = self.config["NetworkingConfig"]["EndpointsConfig"].values()
        return str(endpoint["IPAMConfig"]["IPv4Address"])


class FakeEngine:
    """Answers on `path` while its context lasts; `refusals` maps "POST /build" to what it says."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self.images = {BASE: Image(BASE, "base:1")}
        self.containers: dict[str, Container] = {}
        self.networks: dict[str, dict[str, Any]] = {}
        self.subnet, self.interface = "127.77.0.0/16", "lo"  # where its containers are
        self.refusals: dict[str, str] = {}
        # One call that gets no answer, and the next, which may be the same asked again.
        self.calls, self.cut_at, self.cuts_after = 0, 0, False
        self.built: list[str] = []
        self.hidden: set[str] = set()  # containers that are made just after one looked for them
        self.before_create: Callable[[str], None] = lambda _: None
        self._forwarding: set[Path] = set()
        self._handing_over = threading.Lock()
        self.before_start: Callable[[], None] = lambda: None
        self.platform = {"python": "3.11", "machine": "x86_64", "libc": "glibc"}
        self._server = _Server(str(path), _handler(self))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for container in self.containers.values():
            container.runs.close()
        self._server.shutdown()
        self._server.server_close()

    def crash(self, release_id: str) -> None:
        """Its process ends, and the restart policy starts it again."""
        self.container(release_id).restarts += 1

    def container(self, release_id: str) -> Container:
        label = "build-executor.release"
        return next(c for c in self.containers.values() if c.labels.get(label) == release_id)

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        self.calls += 1
        if "everything" in self.refusals:
            raise ConnectionError(self.refusals["everything"])
        if self.cut_at == 0 or self.calls not in {self.cut_at, self.cut_at + 1}:
            return self._answer(method, target, body)
        if self.cuts_after:
            self._answer(method, target, body)
        raise ConnectionError("the engine was restarted")

    def _answer(self, method: str, target: str, body: bytes) -> Answer:
        url = urlsplit(target)
        path = re.sub(r"^/v1\.\d+", "", unquote(url.path))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for start, message in self.refusals.items():
            if f"{method} {path}".startswith(start):
                return 500, json.dumps({"message": message}).encode()
        for pattern, act in self._routes():
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                return act(*match.groups(), query, body)
        return 404, b'{"message": "page not found"}'

    def _routes(self) -> Iterator[tuple[str, Callable[..., Answer]]]:
        yield "GET /version", lambda *_: _json({"ApiVersion": "1.41"})
        yield "GET /_ping", lambda *_: (200, b"OK")
        yield "POST /build", self._build
        yield "GET /images/json", self._list_images
        yield "GET /images/(.+)/json", self._inspect_image
        yield "DELETE /images/(.+)", self._remove_image
        yield "POST /commit", self._commit
        yield "POST /containers/create", self._create
        yield "GET /containers/json", self._list_containers
        yield "GET /containers/(.+)/json", self._inspect
        yield "POST /containers/(.+)/start", self._start
        yield "POST /containers/(.+)/stop", self._stop
        yield "POST /containers/(.+)/wait", self._wait
        yield "GET /containers/(.+)/logs", self._logs
        yield "PUT /containers/(.+)/archive", self._put_archive
        yield "DELETE /containers/(.+)", self._remove
        yield "POST /networks/create", self._create_network
        yield "GET /networks", self._list_networks
        yield "GET /networks/(.+)", self._inspect_network
        yield "DELETE /networks/(.+)", self._remove_network

    # -- images

    def _build(self, query: dict[str, str], body: bytes) -> Answer:
        with tarfile.open(fileobj=io.BytesIO(body)) as context:
            base = _read(context, "Dockerfile").decode().split()[1]
        if base not in self.images:
            return 200, json.dumps({"error": f"no such image: {base}"}).encode()
        if "build" in self.refusals:
            return 200, json.dumps({"error": self.refusals["build"]}).encode()
        image = self._keep_image(query["t"], json.loads(query["labels"]), {})
        return 200, json.dumps({"stream": f"Successfully built {image.id[7:]}\n"}).encode()

    def _commit(self, query: dict[str, str], _: bytes) -> Answer:
        container = self._find(query["container"])
        assert container is not None
        tag = f"{query['repo']}:{query['tag']}"
        image = self._keep_image(tag, container.labels, container.behaviour)
        return 201, json.dumps({"Id": image.id}).encode()

    def _keep_image(self, tag: str, labels: dict[str, str], behaviour: dict[str, Any]) -> Image:
        image = Image(f"sha256:{_new_id()}", tag, labels, behaviour)
        self.images[image.id] = image
        self.built.append(image.tag)
        return image

    def _find_image(self, name: str) -> Image | None:
        found = (i for i in self.images.values() if name in {i.id, i.tag, i.id[7:]})
        return next(found, None)

    def _inspect_image(self, name: str, *_: object) -> Answer:
        image = self._find_image(name)
        if image is None:
            return 404, json.dumps({"message": f"No such image: {name}"}).encode()
        return _json({"Id": image.id, "RepoTags": [image.tag], "Config": {"Labels": image.labels}})

    def _list_images(self, query: dict[str, str], _: bytes) -> Answer:
        found = [i for i in self.images.values() if _matches(i.labels, query)]
        return _json([{"Id": image.id, "Labels": image.labels} for image in found])

    def _remove_image(self, name: str, *_: object) -> Answer:
        image = self._find_image(name)
        if image is None:
            return 404, json.dumps({"message": f"No such image: {name}"}).encode()
        del self.images[image.id]
        return _json([])

    # -- networks

    def _create_network(self, _: dict[str, str], body: bytes) -> Answer:
        config = json.loads(body)
        if any(config["Name"] == network["Name"] for network in self.networks.values()):
            return 409, b'{"message": "network with that name already exists"}'
        pools = (config.get("IPAM") or {}).get("Config") or [{"Subnet": self.subnet}]
        about = {"Id": _new_id(), "Name": config["Name"], "Labels": config.get("Labels") or {}}
        options = {"com.docker.network.bridge.name": self.interface}
        self.networks[about["Id"]] = {**about, "IPAM": {"Config": pools}, "Options": options}
        return 201, json.dumps({"Id": about["Id"], "Warning": ""}).encode()

    def _list_networks(self, query: dict[str, str], _: bytes) -> Answer:
        return _json([n for n in self.networks.values() if _matches(n["Labels"], query)])

    def _inspect_network(self, network_id: str, *_: object) -> Answer:
        return _json(self.networks[network_id])

    def _remove_network(self, network_id: str, *_: object) -> Answer:
        del self.networks[network_id]
        return 204, b""

    # -- containers

    def _create(self, query: dict[str, str], body: bytes) -> Answer:
        config = json.loads(body)
        self.before_create(query.get("name", ""))
        image = self._find_image(config["Image"])
        if image is None:
            return 404, json.dumps({"message": f"No such image: {config['Image']}"}).encode()
        if any(query.get("name") == container.name for container in self.containers.values()):
            return 409, b'{"message": "Conflict. The container name is already in use"}'
        container = Container(_new_id(), query.get("name", ""), image, config)
        self.containers[container.id] = container
        return 201, json.dumps({"Id": container.id, "Warnings": []}).encode()

    def _put_archive(self, name: str, _: object, body: bytes) -> Answer:
        container = self._find(name)
        assert container is not None
        with tarfile.open(fileobj=io.BytesIO(body)) as app:
            container.behaviour = json.loads(_read(app, "./behaviour.json"))
        return _json({})

    def _find(self, name: str) -> Container | None:
        found = (c for c in self.containers.values() if name in {c.id, c.name})
        return next(found, None)

    def _inspect(self, name: str, *_: object) -> Answer:
        container = self._find(name)
        if container is None or name in self.hidden:
            return 404, b'{"message": "No such container"}'
        state = {
            "Status": container.status,
            "ExitCode": container.exit_code,
            "OOMKilled": container.out_of_memory,
        }
        host = {"LogConfig": {"Type": "json-file"}}
        config = {"Labels": container.labels, "Tty": False}
        about = {"Id": container.id, "State": state, "RestartCount": container.restarts}
        return _json({**about, "Config": config, "HostConfig": host})

    def _list_containers(self, query: dict[str, str], _: bytes) -> Answer:
        found = [c for c in self.containers.values() if _matches(c.labels, query)]
        return _json([{"Id": c.id, "Labels": c.labels} for c in found])

    def _start(self, name: str, *_: object) -> Answer:
        container = self._find(name)
        assert container is not None
        argv = container.config.get("Cmd") or []
        if "build_executor.forwarder" in argv and "switch" not in self.refusals:
            container.status, container.forwards = "running", Path(argv[4])
            self._hand_over()
        elif container.image.id == BASE:
            container.status, container.said = "exited", json.dumps(self.platform)
        elif "crash" in container.image.behaviour:
            container.status, container.exit_code = "restarting", 1
            container.said = f"cannot start: {container.image.behaviour['crash']}"
        else:
            self.before_start()
            if "start" in self.refusals:
                return 500, json.dumps({"message": self.refusals["start"]}).encode()
            try:
                container.runs.enter_context(_serving(container))
            except OSError:
                return 500, b'{"message": "Address already in use"}'
            container.status = "running"
        return 204, b""

    def _stop(self, name: str, *_: object) -> Answer:
        container = self._find(name)
        assert container is not None
        container.status = "exited"
        self._end(container)
        return 204, b""

    def _wait(self, *_: object) -> Answer:
        return _json({"StatusCode": 0})

    def _logs(self, name: str, *_: object) -> Answer:
        container = self._find(name)
        assert container is not None
        said = container.said.encode()
        return 200, struct.pack(">BxxxL", 1, len(said)) + said

    def _remove(self, name: str, *_: object) -> Answer:
        container = self._find(name)
        if container is None:
            return 404, b'{"message": "No such container"}'
        del self.containers[container.id]
        self._end(container)
        return 204, b""

    def _end(self, container: Container) -> None:
        container.runs.close()
        self._hand_over()

    def _hand_over(self) -> None:
        """Of the forwarders with one table, one works, and the next one when that has ended."""
        with self._handing_over:
            for container in list(self.containers.values()):
                state, runs = container.forwards, container.status == "running"
                if state is not None and runs and state not in self._forwarding:
                    admin = Path(container.config["Cmd"][5])
                    container.runs.enter_context(self._forwarder(state, admin))

    @contextlib.contextmanager
    def _forwarder(self, state: Path, admin: Path) -> Iterator[None]:
        self._forwarding.add(state)
        try:
            with running_forwarder(state, admin):
                yield
        finally:
            self._forwarding.remove(state)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who knocks says nothing and goes."""


def _handler(engine: FakeEngine) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = engine.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

        def address_string(self) -> str:
            return "unix"

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def _serving(container: Container) -> Iterator[None]:
    environment = dict(entry.split("=", 1) for entry in container.config["Env"])
    health = {"status": "active", "release": environment["RELEASE_ID"]}

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = json.dumps(health).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((container.address, 8000), Health)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _json(value: object) -> Answer:
    return 200, json.dumps(value).encode()


def _matches(labels: dict[str, str], query: dict[str, str]) -> bool:
    wanted = json.loads(query.get("filters", "{}")).get("label", [])
    pairs = (label.partition("=") for label in wanted)
    return all(labels.get(name) == value if by else name in labels for name, by, value in pairs)


def _read(context: tarfile.TarFile, name: str) -> bytes:
    content = context.extractfile(name)
    assert content is not None
    return content.read()
