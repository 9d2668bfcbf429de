import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from build_executor.errors import RegistrationFailed
from build_executor.mesh.directory import ServiceDirectory


def test_services_that_register_at_once_are_all_listed(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    names = [f"service-{number}" for number in range(20)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: ServiceDirectory(path).register(n, "http://x", "1", {}), names))

    assert all(ServiceDirectory(path).find(name) for name in names)


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / "directory.json"

    ServiceDirectory(path).register("shop", "http://x", "1", {})

    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in (tmp_path / "home").iterdir()}
    assert modes == {0o600}


def test_a_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "directory.json"
    path.write_text("{")

    with pytest.raises(RegistrationFailed, match="cannot be read"):
        ServiceDirectory(path).register("shop", "http://x", "1", {})

    assert path.read_text() == "{"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(RegistrationFailed, match="cannot be written"):
        ServiceDirectory(tmp_path / "file" / "directory.json").withdraw("shop")
