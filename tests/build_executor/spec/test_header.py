import pytest

from build_executor.spec.header import read_header
from build_executor.spec.markdown import read_blocks


@pytest.mark.parametrize(
    ("bullet", "name", "url"),
    [
        ("**registry** (8000) - where services are listed", "registry", "http://localhost:8000"),
        ("**unified-chat**", "unified-chat", None),
        ("**unified-chat:** talks to people", "unified-chat", None),
        ("`event-bus` - carries events", "event-bus", None),
        ("Verifier (Port: 82): checks", "verifier", "http://localhost:82"),
        ("**Flow Monitor Service** (Port 8928): watches", "flow-monitor", "http://localhost:8928"),
        ("**production-server** (203.0.113.7): runs it all", "production-server", None),
        ("**sessions-file** (12 entries)", "sessions-file", None),
    ],
)
def test_a_dependency_is_read_with_its_whole_name_and_its_port(
    bullet: str, name: str, url: str | None
) -> None:
    header = read_header(read_blocks(f"# Shop\n\n## Dependencies\n\n- {bullet}\n"))

    assert [(d.name, d.url) for d in header.dependencies] == [(name, url)]


@pytest.mark.parametrize("bullet", ["**Port 8920**", "`PORT`", "a fast disk"])
def test_what_is_no_service_is_no_dependency(bullet: str) -> None:
    header = read_header(read_blocks(f"# Shop\n\n## Dependencies\n\n- {bullet}\n"))

    assert header.dependencies == ()


def test_a_heading_makes_dependencies_optional() -> None:
    text = "# Shop\n\n## Dependencies\n\n### Optional services\n\n- **mailer** (8025)\n"

    header = read_header(read_blocks(text))

    assert [d.required for d in header.dependencies] == [False]
