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
