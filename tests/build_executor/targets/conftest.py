import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from build_executor.targets.host import Patience
from build_executor.targets.local import LocalTarget
from tests.fakes.release import Releases
from tests.ports import free_port

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def local_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="module")
def local(local_root: Path) -> Iterator[LocalTarget]:
    """One supervised target for a module; each test has a service of its own on it."""
    patience = Patience(start=3, switch=3, drain=3, lock=0.2)
    target = LocalTarget(local_root, keep_releases=2, patience=patience)
    yield target
    target.supervisor.shut_down()


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path, service=f"shop-{next(_numbers)}", port=free_port())
