import re

import pytest

from build_executor.allowed_packages import allowed, missing_requirements
from build_executor.models import Finding

RUN = "ModuleNotFoundError: No module named 'dateutil'"
TYPED = 'Cannot find implementation or library stub for module named "dateutil.parser"'


@pytest.mark.parametrize("message", [RUN, TYPED])
def test_a_missing_module_of_the_list_becomes_a_requirement(message: str) -> None:
    finding = Finding(gate="pytest", rule="test_x", message=message)

    assert missing_requirements([finding], "fastapi==1\n") == ["python-dateutil>=2.9,<3"]


def test_what_is_not_on_the_list_is_not_asked_for() -> None:
    finding = Finding(gate="pytest", rule="x", message="No module named 'evil_package'")

    assert missing_requirements([finding], "") == []


def test_what_is_required_already_is_not_required_twice() -> None:
    finding = Finding(gate="pytest", rule="x", message=RUN)

    assert missing_requirements([finding], "python-dateutil==2.9.0 \\\n    --hash=x") == []


def test_the_list_names_plain_packages_with_their_limits() -> None:
    for module, requirement in allowed().items():
        assert re.fullmatch(r"[a-z]\w*", module)
        assert re.fullmatch(r"[a-z0-9-]+>=[\d.]+(,<\d+)?", requirement)
