from pathlib import Path

import pytest

from build_executor.frozen import freeze, restore_frozen
from build_executor.models import Workspace

SERVICE = {
    "app/main.py": "main",
    "app/logic.py": "logic",
    "tests/test_contract.py": "contract",
    "tests/extra/test_more.py": "more",
    "requirements.txt": "fastapi",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(build_id="b", service="s", path=tmp_path)
    for name, text in SERVICE.items():
        path = workspace.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    freeze(workspace)
    return workspace


def rules(workspace: Workspace) -> dict[str | None, str]:
    return {finding.file: finding.rule for finding in restore_frozen(workspace)}


def test_an_untouched_source_stays(workspace: Workspace) -> None:
    assert restore_frozen(workspace) == ()


@pytest.mark.parametrize("name", ["app/main.py", "tests/test_contract.py"])
def test_what_follows_from_the_contract_does_not_stay_edited(
    workspace: Workspace, name: str
) -> None:
    (workspace.source / name).write_text("edited")

    assert rules(workspace) == {name: "changed"}
    assert (workspace.source / name).read_text() == SERVICE[name]


@pytest.mark.parametrize("name", ["app/logic.py", "requirements.txt", "tests/extra/test_more.py"])
def test_a_person_may_edit_the_logic_the_requirements_and_extra_tests(
    workspace: Workspace, name: str
) -> None:
    (workspace.source / name).write_text("edited")

    assert restore_frozen(workspace) == ()
    assert (workspace.source / name).read_text() == "edited"


def test_what_was_deleted_or_replaced_by_something_else_is_put_back(workspace: Workspace) -> None:
    (workspace.source / "app" / "main.py").unlink()
    contract = workspace.source / "tests" / "test_contract.py"
    contract.unlink()
    contract.mkdir()
    (contract / "x.py").write_text("x")

    assert set(rules(workspace)) == {"app/main.py", "tests/test_contract.py"}
    assert contract.read_text() == "contract"


def test_a_link_is_not_taken_for_the_file_it_leads_to(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("main")
    main = workspace.source / "app" / "main.py"
    main.unlink()
    main.symlink_to(elsewhere)

    assert rules(workspace) == {"app/main.py": "changed"}
    assert not main.is_symlink()


def test_what_does_not_belong_to_the_service_is_taken_away(workspace: Workspace) -> None:
    (workspace.source / "conftest.py").write_text("import pytest")
    (workspace.source / "tests" / "conftest.py").write_text("import pytest")
    (workspace.source / "tests" / "extra" / "test_mine.py").write_text("mine")

    assert rules(workspace) == {"conftest.py": "added", "tests/conftest.py": "added"}
    assert not (workspace.source / "conftest.py").exists()
    assert (workspace.source / "tests" / "extra" / "test_mine.py").exists()


def test_without_anything_frozen_nothing_is_put_back(tmp_path: Path) -> None:
    assert restore_frozen(Workspace(build_id="b", service="s", path=tmp_path)) == ()
