"""The program that is shipped to production hosts, asked as it is asked there."""

import errno
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_executor.on_host import __main__ as program
from build_executor.on_host import client, ledger, releases, switch
from build_executor.on_host.__main__ import main
from build_executor.on_host.places import Locked, Places, Refused
from build_executor.on_host.units import SWITCH, service_text, service_unit
from tests.fakes.production import FakeManager
from tests.fakes.release import write_archive

SHOP = {"service": "shop", "release": "1.0.0-abc", "fence": 0}
KEY = "0" * 32

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="h") as folder:  # short: a socket is in it
        yield Path(folder)


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    manager = FakeManager()
    yield manager
    manager.shut_down()


@pytest.fixture
def ask(root: Path, manager: FakeManager) -> Ask:
    def ask(verb: str, stream: bytes = b"", **order: object) -> dict[str, Any]:
        output = io.BytesIO()
        stdin = io.BytesIO(json.dumps(order).encode() + b"\n" + stream)
        main(root, verb, stdin, output, manager)
        answer: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
        return answer

    return ask


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return write_archive(tmp_path / "a.tar.gz", {"app/main.py": "x = 1"}).read_bytes()


def described(archive: bytes) -> dict[str, Any]:
    return {"digest": hashlib.sha256(archive).hexdigest(), "size": len(archive)}


# -- names


@pytest.mark.parametrize("service", ["", "..", "../x", "a/b", ".tools", "a b", "x" * 101])
def test_a_name_that_could_lead_out_of_the_root_is_refused(ask: Ask, service: str) -> None:
    assert ask("read", service=service)["kind"] == "refused"


def test_a_release_and_a_key_are_names_too(ask: Ask) -> None:
    assert "not a release" in ask("is_installed", service="shop", release="../x")["error"]
    assert "not the key" in ask("has_packages", key="../x")["error"]


@given(service=st.text(), release=st.text())
def test_no_name_becomes_more_than_a_name_of_a_folder_or_a_unit(service: str, release: str) -> None:
    places, root = Places(Path("/srv/apps")), Path("/srv/apps")
    try:
        folder = places.release(service, release)
    except Refused:
        return
    assert folder.parent.parent.parent == root
    assert ".." not in folder.parts
    assert re.fullmatch(
        r"build-executor-[\w:.\\-]+@[\w:.\\-]+\.service", service_unit(service, release)
    )


# -- the state


def test_a_recorded_state_is_read_and_current_follows_it(ask: Ask, root: Path) -> None:
    assert ask("read", service="shop") == {"ok": True, "state": None}
    state = {"service": "shop", "fence": 1, "live": "1.0.0-abc"}

    assert ask("record", service="shop", state=state)["ok"]

    assert ask("read", service="shop")["state"] == state
    assert ask("services")["services"] == ["shop"]
    assert (root / "shop/current").readlink() == Path("releases/1.0.0-abc")
    ask("record", service="shop", state={**state, "live": None})
    assert not (root / "shop/current").is_symlink()


@pytest.mark.parametrize("content", ["{", "[]", '{"fence": "x"}'])
def test_a_damaged_state_is_named_and_not_overwritten(ask: Ask, root: Path, content: str) -> None:
    (root / "shop").mkdir()
    (root / "shop/state.json").write_text(content)

    assert "the state of shop is damaged" in ask("read", service="shop")["error"]
    state = {"service": "shop", "fence": 1}
    assert "damaged" in ask("record", service="shop", state=state)["error"]
    assert (root / "shop/state.json").read_text() == content


def test_whoever_had_an_earlier_lock_changes_nothing(ask: Ask, archive: bytes) -> None:
    ask("record", service="shop", state={"service": "shop", "fence": 2})
    late = {**SHOP, "fence": 1}

    answers = [
        ask("record", service="shop", state={"service": "shop", "fence": 1}),
        ask("install", archive, **late, **described(archive)),
        ask("start", **late),
        ask("stop", **late),
        ask("remove", **late),
    ]

    assert {answer["kind"] for answer in answers} == {"locked"}
    assert "a later deployment of shop has taken over" in answers[0]["error"]


def test_changes_wait_for_each_other_for_a_while(
    ask: Ask, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_CHANGE_SECONDS", 0.01)

    with ledger.changing(Places(root), "shop", 0):
        answer = ask("record", service="shop", state={"service": "shop", "fence": 0})

    assert "another change of shop does not end" in answer["error"]


# -- the lock


def test_a_lock_is_signed_and_its_holder_is_named(root: Path) -> None:
    places, order = Places(root), {"build": "first", "host": "here", "seconds": 0.01}

    with ledger.hold(places, "shop", order) as state:
        assert state["fence"] == 1
        second = ledger.hold(places, "shop", {**order, "build": "second"})
        with pytest.raises(Locked, match="build first"), second:
            pass

    with ledger.hold(places, "shop", order) as state:
        assert state["fence"] == 2


def test_a_lock_that_is_not_signed_yet_is_held_nevertheless(root: Path) -> None:
    places, order = Places(root), {"build": "first", "host": "here", "seconds": 0.01}

    with ledger.hold(places, "shop", order):
        (root / "shop/deploy.lock").write_text("")
        with pytest.raises(Locked, match="only just begun"), ledger.hold(places, "shop", order):
            pass


def test_a_client_that_is_silent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SILENCE_SECONDS", 0.01)
    read, write = os.pipe()
    with open(read, "rb") as stream, open(write, "wb") as peer:  # noqa: PTH123 - a pipe
        peer.write(b"one\n\ntwo\nhalf a li")
        peer.flush()

        assert list(client.lines(stream)) == [b"one", b"two"]


def test_who_waits_sees_signs_of_life(
    root: Path, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_BEAT_SECONDS", 0.001)
    order = {"build": "b", "host": "h", "seconds": 0}
    output = io.BytesIO()

    with ledger.hold(Places(root), "shop", order):
        waiting = {**order, "service": "shop", "seconds": 0.5}
        read, write = os.pipe()
        os.write(write, json.dumps(waiting).encode() + b"\n")
        os.close(write)
        with open(read, "rb") as stdin:  # noqa: PTH123 - a pipe
            main(root, "lock", stdin, output, manager)

    assert output.getvalue().startswith(b"\n")
    assert json.loads(output.getvalue().splitlines()[-1])["kind"] == "locked"


# -- releases


def test_a_release_is_there_whole_with_bytecode_and_packages(
    ask: Ask, root: Path, archive: bytes
) -> None:
    order = described(archive)
    assert ask("put_packages", archive, key=KEY, **order)["ok"]
    assert ask("put_packages", archive, key=KEY, **order)["ok"]
    assert ask("has_packages", key=KEY)["is"]

    assert ask("install", archive, **SHOP, **order, packages=KEY)["ok"]
    assert ask("install", archive, **SHOP, **order, packages=KEY)["ok"]

    folder = root / "shop/releases/1.0.0-abc"
    assert ask("is_installed", service="shop", release="1.0.0-abc")["is"]
    assert (folder / ".packages").resolve() == root / ".dependencies" / KEY
    assert len(list((folder / "app/__pycache__").iterdir())) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0-abc"]


def test_a_release_whose_lock_is_lost_while_it_arrives_is_not_put_in_place(
    root: Path, archive: bytes
) -> None:
    places = Places(root)

    class Overtaken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            ledger.record(places, "shop", {"service": "shop", "fence": 2})
            return super().read(size)

    order = {**described(archive), "fence": 1}
    with pytest.raises(Locked, match="a later deployment of shop has taken over"):
        releases.install(places, "shop", "1.0.0-abc", order, Overtaken(archive))

    assert list(places.releases("shop").iterdir()) == []


def test_what_killed_installers_left_is_removed(ask: Ask, root: Path, archive: bytes) -> None:
    remnants = root / "shop/releases"
    (remnants / ".draft").mkdir(parents=True)
    (remnants / ".half.tar.gz").touch()

    ask("install", archive, **SHOP, **described(archive))

    assert [path.name for path in remnants.iterdir()] == ["1.0.0-abc"]


def test_an_archive_that_did_not_arrive_whole_is_refused(
    ask: Ask, root: Path, archive: bytes
) -> None:
    answer = ask("install", archive[:-1], **SHOP, **described(archive))

    assert "did not arrive as it was sent" in answer["error"]
    assert list((root / "shop/releases").iterdir()) == []


def test_an_archive_of_more_than_plain_files_is_refused(ask: Ask, root: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    archive = packed.getvalue()

    answer = ask("install", archive, **SHOP, **described(archive))

    assert "more than plain files" in answer["error"]
    assert list((root / "shop/releases").iterdir()) == []


def test_a_release_that_would_fill_the_disk_is_refused(ask: Ask, archive: bytes) -> None:
    order = {**described(archive), "size": 10**15}

    assert "too little space in" in ask("install", archive, **SHOP, **order)["error"]


def test_a_disk_that_fills_up_is_named(
    ask: Ask, archive: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(releases, "unpack", full)

    answer = ask("install", archive, **SHOP, **described(archive))

    assert "the disk is full" in answer["error"]


def test_packages_that_cannot_be_put_in_place_are_told(
    ask: Ask, root: Path, archive: bytes
) -> None:
    (root / ".dependencies").mkdir()
    (root / ".dependencies" / KEY).touch()

    answer = ask("put_packages", archive, key=KEY, **described(archive))

    assert answer["kind"] == "refused"


def test_packages_go_with_the_last_release_that_needs_them(
    ask: Ask, root: Path, archive: bytes
) -> None:
    order = described(archive)
    for key in (KEY, "1" * 32, "2" * 32):
        ask("put_packages", archive, key=key, **order)
    ask("install", archive, **SHOP, **order, packages=KEY)
    ask("install", archive, **{**SHOP, "service": "bank"}, **order, packages="1" * 32)
    for key in (KEY, "1" * 32):
        os.utime(root / ".dependencies" / key, (0, 0))

    ask("remove", **SHOP)
    ask("remove", **SHOP)

    assert not (root / "shop/releases/1.0.0-abc").exists()
    kept = {path.name for path in (root / ".dependencies").iterdir()}
    assert kept == {"1" * 32, "2" * 32}  # one is used, the other is new: it may be about to be


def test_archives_that_killed_installers_left_among_packages_are_removed(
    ask: Ask, root: Path
) -> None:
    folder = root / ".dependencies"
    folder.mkdir()
    for name in (".old.tar.gz", ".new.tar.gz"):
        (folder / name).touch()
    os.utime(folder / ".old.tar.gz", (0, 0))

    assert ask("remove", **SHOP)["ok"]

    assert [path.name for path in folder.iterdir()] == [".new.tar.gz"]


def test_the_youngest_logs_of_releases_that_are_gone_are_kept(ask: Ask, root: Path) -> None:
    logs = Places(root).shared("shop", "logs")
    for age in range(25):
        log = logs / f"{age}.log"
        log.touch()
        os.utime(log, (10**9 - age, 10**9 - age))

    assert ask("remove", **SHOP)["ok"]

    assert {log.stem for log in logs.iterdir()} == {str(age) for age in range(20)}


# -- instances


def installed(ask: Ask, archive: bytes) -> None:
    assert ask("install", archive, **SHOP, **described(archive))["ok"]


def test_a_release_that_runs_is_left_as_it_is(ask: Ask, archive: bytes) -> None:
    installed(ask, archive)

    address = ask("start", **SHOP)["address"]

    assert ask("start", **SHOP)["address"] == address
    assert ask("address", service="shop", release="1.0.0-abc")["address"] == address
    assert ask("complaint", service="shop", release="1.0.0-abc")["complaint"] is None


def test_a_restarted_release_is_complained_of_until_it_is_started_again(
    ask: Ask, archive: bytes, manager: FakeManager
) -> None:
    installed(ask, archive)
    ask("start", **SHOP)
    unit = service_unit("shop", "1.0.0-abc")
    manager.restarts[unit] = 1

    complaint = ask("complaint", service="shop", release="1.0.0-abc")["complaint"]

    assert complaint == f"its process ended (exit-code): the end of {unit}"
    assert ask("log", service="shop", release="1.0.0-abc")["log"] == f"the end of {unit}"
    ask("start", **SHOP)
    assert ask("complaint", service="shop", release="1.0.0-abc")["complaint"] is None


def test_a_release_that_ended_is_started_anew(
    ask: Ask, archive: bytes, manager: FakeManager
) -> None:
    installed(ask, archive)
    ask("start", **SHOP)
    manager.crash(service_unit("shop", "1.0.0-abc"))

    assert "its process ended" in ask("complaint", **SHOP)["complaint"]
    assert ask("start", **SHOP)["ok"]
    assert ask("complaint", **SHOP)["complaint"] is None


def test_a_stopped_release_leaves_its_last_words(ask: Ask, archive: bytes, root: Path) -> None:
    installed(ask, archive)
    ask("start", **SHOP)

    assert ask("stop", **SHOP)["ok"]
    assert ask("stop", **SHOP)["ok"]

    assert (root / "shop/shared/logs/1.0.0-abc.log").read_text().startswith("the end of")
    assert ask("address", **SHOP)["address"] is None
    assert ask("complaint", **SHOP)["complaint"] == "it is not kept running"


def test_a_host_that_keeps_no_services_starts_none(
    ask: Ask, archive: bytes, manager: FakeManager
) -> None:
    installed(ask, archive)
    manager.lingers = False

    assert "when it logs out" in ask("start", **SHOP)["error"]


# -- units


def test_a_unit_names_its_release_whatever_its_version_is_called() -> None:
    assert service_unit("shop", "1.0.0+b-abc") == r"build-executor-shop@1.0.0\x2bb-abc.service"


@pytest.mark.parametrize("folder", ["a\nb", 'a"b', "a\\b"])
def test_what_would_end_a_line_of_a_unit_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(Refused, match="not for a unit"):
        service_text(Places(tmp_path / folder), "shop", "1.0.0-abc", 1)


@pytest.mark.parametrize("folder", ["a b", "a$b", "a:b"])
def test_what_would_be_two_words_of_a_unit_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(Refused, match="not for a unit"):
        service_text(Places(tmp_path / folder), "shop", "1.0.0-abc", 1)


def test_percents_are_no_specifiers(tmp_path: Path) -> None:
    assert f"{tmp_path}/a%%b/shop/releases/1-a" in service_text(
        Places(tmp_path / "a%b"), "shop", "1-a", 1
    )


# -- the switch


def argv(root: Path, *more: str) -> list[str]:
    words = ["python3", "-S", "-m", "build_executor.forwarder"]
    return [*words, f"{root}/.switch/routes.json", f"{root}/.switch/admin.sock", *more]


def test_the_switch_is_started_once_and_asked(ask: Ask, root: Path, manager: FakeManager) -> None:
    assert ask("switch_exists") == {"ok": True, "is": False}
    order = {"tools": "/tools", "argv": argv(root)}

    assert ask("switch_up", **order)["ok"]
    started = manager.running[SWITCH]
    assert ask("switch_up", **order)["ok"]

    assert manager.running[SWITCH] is started
    answer = ask("switch_ask", command={"do": "status"}, within=5)["answer"]
    assert answer["routes"] == {}


def test_a_switch_of_another_version_is_replaced(
    ask: Ask, root: Path, manager: FakeManager
) -> None:
    ask("switch_up", tools="/tools/1", argv=argv(root))
    started = manager.running[SWITCH]

    assert ask("switch_up", tools="/tools/2", argv=argv(root))["ok"]

    assert manager.running[SWITCH] is not started
    assert "PYTHONPATH=/tools/2" in manager.units[SWITCH]


def test_a_switch_that_does_not_come_up_is_told_with_its_last_words(
    ask: Ask, root: Path, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "_START_SECONDS", 0.01)
    monkeypatch.setattr(manager, "_launch", lambda _: None)

    answer = ask("switch_up", tools="/tools", argv=argv(root))

    assert answer["error"] == f"the switch does not start: the end of {SWITCH}"


def test_a_switch_that_does_not_answer_is_told(ask: Ask) -> None:
    answer = ask("switch_ask", command={"do": "status"}, within=1)

    assert "the switch does not answer" in answer["error"]


# -- ports


def test_a_port_of_another_service_is_refused(ask: Ask) -> None:
    order = {"wanted": 8400, "routed": {"bank": 8400}, "host": "127.0.0.1"}

    assert "taken by the service bank" in ask("reserve", service="shop", **order)["error"]


def test_the_folder_of_a_host_is_not_shared_with_others(root: Path) -> None:
    folder = Places(root).shared("shop", "data")

    assert folder.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(folder)
