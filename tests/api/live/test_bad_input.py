import socket
from pathlib import Path

import pytest

from tests.api.live.running import Client

pytestmark = pytest.mark.full

UNKNOWN = "00000000-0000-4000-8000-000000000000"
CANARY = "canary-7d1f"


def test_every_bad_spec_path_gets_the_same_answer(client: Client, specs: Path) -> None:
    (specs / "link.md").symlink_to("/etc/passwd")
    (specs / "folder.md").mkdir()
    (specs / "huge.md").write_bytes(b"x" * 262_145)
    (specs / "binary.md").write_bytes(b"\x00\xff\xfe")
    paths = ["/etc/passwd", "/etc/nope", f"{specs}/../../etc/passwd", f"{specs}/nope.md"]
    paths += ["/proc/self/environ", "/dev/zero", f"{specs}/link.md", f"{specs}/folder.md"]

    answers = [client.http.post("/builds/submit", json={"spec_path": path}) for path in paths]

    assert {answer.status_code for answer in answers} == {422}
    assert {answer.json()["error"]["code"] for answer in answers} == {"SPEC_UNREADABLE"}
    assert all("root:" not in answer.text for answer in answers)
    for name in ("huge.md", "binary.md"):
        answer = client.http.post("/builds/submit", json={"spec_path": str(specs / name)})
        assert answer.status_code == 422


def test_a_document_that_is_no_specification_is_refused_with_the_reason(
    client: Client, specs: Path
) -> None:
    (specs / "prose.md").write_text("# A poem\n\nRoses are red.\n")

    answer = client.http.post("/builds/submit", json={"spec_path": str(specs / "prose.md")})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "SPEC_REFUSED")
    assert error["details"]["reason"]
    assert "line" in error["details"]


def test_production_that_is_not_configured_is_refused(client: Client, spec: Path) -> None:
    answer = client.http.post(
        "/builds/submit", json={"spec_path": str(spec), "deploy_production": True}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "TARGET_NOT_CONFIGURED")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b"\xff",
        b'{"spec_path": ""}',
        b'{"spec_path": null}',
        b'{"spec_path": 7}',
        b'{"spec_path": "a\\u0000b"}',
        b'{"spec_path": "x", "approval_mode": "canary-7d1f"}',
        b'{"spec_path": "x", "deploy_local": "canary-7d1f"}',
        b'{"spec_path": "x", "metadata": []}',
        b'{"spec_path": "x", "metadata": {"a": NaN}}',
        b'{"spec_path": "x", "metadata": {"a": 1e999}}',
        b'{"spec_path": "x", "metadata": {"\\ud800": 1}}',
        b'{"spec_path": "x", "\\udc00": 1}',
        b'{"spec_path": "x", "spec_path": "y"}',
        b'{"spec_path": "x", "unknown": "canary-7d1f"}',
        b'{"spec_path": "' + b"x" * 2000 + b'"}',
        b"[" * 900 + b"]" * 900,
    ],
)
def test_a_bad_body_is_422_and_nothing_of_it_comes_back(client: Client, body: bytes) -> None:
    answer = client.http.post(
        "/builds/submit", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert answer.json()["status"] == "error"
    assert CANARY not in answer.text


@pytest.mark.parametrize("metadata", [{f"k{i}": i for i in range(51)}, {"k": "x" * 9000}])
def test_metadata_over_its_limits_is_422(
    client: Client, spec: Path, metadata: dict[str, object]
) -> None:
    answer = client.http.post("/builds/submit", json={"spec_path": str(spec), "metadata": metadata})

    assert answer.status_code == 422
    assert "metadata" in answer.json()["error"]["message"]


def test_only_json_is_read(client: Client, spec: Path) -> None:
    content = f'{{"spec_path": "{spec}"}}'

    answer = client.http.post(
        "/builds/submit", content=content, headers={"content-type": "text/plain"}
    )

    assert answer.status_code == 422


def test_a_body_over_the_limit_is_413(client: Client) -> None:
    sized = client.http.post("/builds/submit", content=b"x" * 300_000)
    chunked = client.http.post("/builds/submit", content=iter([b"x" * 100_000] * 3))

    assert [sized.status_code, chunked.status_code] == [413, 413]
    assert sized.json()["status"] == "error"


@pytest.mark.parametrize("build_id", [UNKNOWN, "x", "7", "%00", "null", "a" * 500, "{" + UNKNOWN])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "status"),
        ("POST", "approve"),
        ("POST", "cancel"),
        ("POST", "rollback"),
        ("GET", "artifacts"),
    ],
)
def test_an_unknown_build_is_404(client: Client, build_id: str, method: str, path: str) -> None:
    body = {"approved": True} if path == "approve" else None

    answer = client.http.request(method, f"/builds/{build_id}/{path}", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "query",
    [
        "status=building",
        "limit=0",
        "limit=101",
        "limit=x",
        "offset=-1",
        "service_name=",
        "offset=1e9",
    ],
)
def test_a_bad_filter_is_422(client: Client, query: str) -> None:
    answer = client.http.get(f"/builds?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize("body", [{}, {"approved": "yes"}, {"approved": 1}, {"approved": None}, []])
def test_a_bad_approval_is_422(client: Client, body: object) -> None:
    answer = client.http.post(f"/builds/{UNKNOWN}/approve", json=body)

    assert answer.status_code == 422


def test_a_route_that_does_not_exist_is_404_in_the_same_shape(client: Client) -> None:
    answer = client.http.get("/nothing/here")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_a_method_that_does_not_exist_is_405_in_the_same_shape(client: Client) -> None:
    answer = client.http.delete("/builds")

    assert (answer.status_code, answer.json()["status"]) == (405, "error")
    assert answer.headers["allow"] == "GET"


def test_headers_over_the_limit_are_refused(client: Client) -> None:
    answer = client.http.get("/health", headers={"x-long": "x" * 20_000})

    assert answer.status_code in {400, 431}


def test_foreign_pages_and_names_are_refused(client: Client) -> None:
    page = client.http.get("/builds", headers={"origin": "http://evil.example"})
    name = client.http.get("/builds", headers={"host": "evil.example"})

    assert [page.status_code, name.status_code] == [403, 403]


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_is_refused_and_the_service_goes_on(client: Client, raw: bytes) -> None:
    host, port = client.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as stranger:
        stranger.sendall(raw)
        stranger.shutdown(socket.SHUT_WR)
        stranger.recv(1000)

    assert client.http.get("/health").status_code == 200
