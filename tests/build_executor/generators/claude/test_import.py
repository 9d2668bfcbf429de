"""The provider's client takes seconds to import: nobody pays for it who asks nothing."""

import sys
from pathlib import Path

import pytest

from build_executor import command
from build_executor.settings import inherited_environment

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("module", ["flows.build_service", "api.app", "build_executor.__main__"])
def test_nothing_imports_the_providers_client_before_there_is_a_question(module: str) -> None:
    program = f"import sys, {module}; print('anthropic' in sys.modules)"

    ended = command.run(
        [sys.executable, "-c", program],
        timeout=120,
        cwd=ROOT,
        environment=inherited_environment(),
    )

    assert ended.output.split()[-1] == "False"
