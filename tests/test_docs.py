"""What the README says is what the code does."""

from pathlib import Path

import pytest
import yaml

from api.app import create_app
from build_executor.phases import ApprovalMode, ErrorState
from build_executor.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str) -> None:
    field = Settings.model_fields[name]

    start = f"| `{name.upper()}` |"
    row = next((line for line in README.splitlines() if line.startswith(start)), "")

    assert str(field.description) in row


@pytest.mark.parametrize("word", [*ErrorState, *ApprovalMode])
def test_every_error_state_and_approval_mode_is_in_the_readme(word: str) -> None:
    assert f"`{word}`" in README


def test_every_build_endpoint_is_in_the_readme() -> None:
    paths = create_app(Settings()).openapi()["paths"]

    missing = [path for path in paths if path not in README]

    assert "/builds/{build_id}/status" in paths
    assert missing == []


def test_every_deployment_is_in_the_readme() -> None:
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]

    names = {entry["entrypoint"].split(".")[1].replace("_", "-") + "/local" for entry in declared}

    assert [name for name in names if f"`{name}`" not in README] == []


def test_the_container_image_is_made_of_what_is_there() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]

    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {line[1:] for line in sent if line.startswith("!")} == set(copied)


def test_the_compose_file_builds_that_image() -> None:
    folder = ROOT / "deployments"
    declared = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))

    build = declared["services"]["build-executor"]["build"]

    assert (folder / build["context"]).resolve() == ROOT
    assert ROOT / build["dockerfile"] == (ROOT / "Dockerfile").resolve()


def test_the_compose_file_for_postgresql_adds_a_database_that_it_names_rightly() -> None:
    folder = ROOT / "deployments"
    first = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["services"]
    added = yaml.safe_load((folder / "compose.postgres.yaml").read_text(encoding="utf-8"))

    theirs = added["services"]["postgres"]["environment"]
    product = added["services"]["build-executor"]
    url = product["environment"]["PREFECT_SERVER_DATABASE_CONNECTION_URL"]

    assert {*added["services"]} == {*first, "postgres"} == {*first, *product["depends_on"]}
    assert url.startswith(f"postgresql+asyncpg://{theirs['POSTGRES_USER']}:$")
    assert url.endswith(f"@postgres/{theirs['POSTGRES_DB']}")
