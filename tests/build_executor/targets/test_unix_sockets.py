"""A socket's path is short enough to bind and in nobody else's hands."""

import os
from pathlib import Path

import pytest

from build_executor.errors import InvalidSettings
from build_executor.targets import unix_sockets
from build_executor.targets.unix_sockets import socket_path


def test_a_socket_of_a_deep_folder_gets_a_short_private_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_sockets, "_SHORT_FOLDERS", tmp_path)
    deep = Path("/" + "d" * 100)

    short = socket_path(deep, "supervisor.sock")

    assert short == socket_path(deep, "supervisor.sock")
    assert short != socket_path(deep / "e", "supervisor.sock")
    assert short.parent.parent == tmp_path
    assert short.parent.stat().st_mode & 0o777 == 0o700


def test_a_short_folder_that_others_can_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_sockets, "_SHORT_FOLDERS", tmp_path)
    folder = tmp_path / f"build-executor-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)

    with pytest.raises(InvalidSettings, match="somebody else"):
        socket_path(Path("/" + "d" * 100), "supervisor.sock")
