import errno
import os
import tarfile
from pathlib import Path

import pytest

from build_executor import archives
from build_executor.errors import DeployLocked, DeploymentFailed
from build_executor.models import Release
from build_executor.targets.releases import CONFINED, ReleaseStore
from build_executor.targets.state import ServiceState
from tests.fakes.release import Releases, digest_of


@pytest.fixture
def store(tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(tmp_path / "services", lock_seconds=0.1)


@pytest.fixture
def release(releases: Releases) -> Release:
    return releases.build("1.0.0").release


def repacked(release: Release, *members: tarfile.TarInfo) -> Release:
    with tarfile.open(release.archive, "w:gz") as tar:
        for member in members:
            tar.addfile(member)
    return release.model_copy(update={"digest": digest_of(release.archive)})


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_an_installed_release_is_source_and_environment(
    store: ReleaseStore, release: Release
) -> None:
    store.install(release)

    folder = store.folder(release.service, release.id)
    assert (folder / "VERSION").read_text() == "1.0.0"
    assert (folder / ".venv" / "bin" / "python").is_symlink()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_release_that_is_to_be_confined_says_so_and_can_be_read_by_the_sandbox(
    store: ReleaseStore, release: Release
) -> None:
    confined = release.model_copy(update={"confined": True})

    store.install(confined)

    folder = store.folder(release.service, release.id)
    assert (folder / CONFINED).exists()
    assert folder.stat().st_mode & 0o055 == 0o055
    assert (folder / "VERSION").stat().st_mode & 0o044 == 0o044


def test_an_environment_that_cannot_be_linked_is_copied(
    store: ReleaseStore, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_file_system(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    (release.environment / "pyvenv.cfg").write_text("home = /usr/bin")
    monkeypatch.setattr(os, "link", another_file_system)
    store.install(release)

    folder = store.folder(release.service, release.id)
    assert (folder / ".venv" / "pyvenv.cfg").read_text() == "home = /usr/bin"


def test_what_a_killed_installer_left_is_removed_by_the_next_one(
    store: ReleaseStore, release: Release
) -> None:
    remnant = store.folder(release.service, ".0.9.0-abc.1234")
    remnant.mkdir(parents=True)

    store.install(release)

    assert not remnant.exists()


def test_an_installation_that_fails_leaves_nothing(store: ReleaseStore, release: Release) -> None:
    broken = release.model_copy(update={"environment": release.environment / "absent"})

    with pytest.raises(OSError, match="No such file"):
        store.install(broken)

    assert list(store.folder(release.service, "").iterdir()) == []


def test_a_changed_archive_is_refused(store: ReleaseStore, release: Release) -> None:
    with release.archive.open("ab") as archive:
        archive.write(b"more")

    with pytest.raises(DeploymentFailed, match=r"the archive of .* was changed"):
        store.install(release)


@pytest.mark.parametrize(
    "bad",
    [
        member("../outside"),
        member("/absolute"),
        member("link", tarfile.SYMTYPE, "/etc/passwd"),
        member("device", tarfile.CHRTYPE),
    ],
)
def test_an_archive_of_more_than_plain_files_is_refused(
    store: ReleaseStore, release: Release, bad: tarfile.TarInfo
) -> None:
    with pytest.raises(DeploymentFailed, match="more than plain files"):
        store.install(repacked(release, bad))


def test_an_archive_that_would_fill_the_disk_is_refused(
    store: ReleaseStore, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 1)

    with pytest.raises(DeploymentFailed, match="more than 1 entries"):
        store.install(repacked(release, member("one"), member("two")))


def test_what_is_no_archive_is_refused(store: ReleaseStore, release: Release) -> None:
    release.archive.write_bytes(b"no archive")
    renamed = release.model_copy(update={"digest": digest_of(release.archive)})

    with pytest.raises(DeploymentFailed, match=r"cannot unpack release\.tar\.gz"):
        store.install(renamed)


def test_removing_a_release_twice_is_no_error(store: ReleaseStore, release: Release) -> None:
    store.install(release)

    store.remove(release.service, release.id)
    store.remove(release.service, release.id)

    assert not store.folder(release.service, release.id).exists()


def test_current_points_at_what_is_live(store: ReleaseStore, tmp_path: Path) -> None:
    current = tmp_path / "services" / "shop" / "current"
    state = ServiceState(service="shop", live="1.0.0-abc")

    store.write(state)
    assert current.readlink() == Path("releases/1.0.0-abc")

    store.write(state.model_copy(update={"live": None}))
    assert not current.is_symlink()


def test_only_services_with_a_state_are_listed(store: ReleaseStore) -> None:
    store.write(ServiceState(service="shop"))
    store.shared("bank", "data")

    assert store.services() == ["shop"]


def test_a_late_deployer_cannot_record_anything(store: ReleaseStore) -> None:
    with store.locked("shop", "late") as ledger:
        store.write(ledger.state.model_copy(update={"fence": ledger.state.fence + 1}))

        with pytest.raises(DeployLocked, match="somebody else has taken over"):
            ledger.record(ledger.state)


def test_a_lock_that_is_not_signed_yet_is_held_nevertheless(
    store: ReleaseStore, tmp_path: Path
) -> None:
    with store.locked("shop", "first"):
        (tmp_path / "services" / "shop" / "deploy.lock").write_text("")

        with pytest.raises(DeployLocked, match="only just begun"), store.locked("shop", "second"):
            pass


def test_a_damaged_state_is_named_and_not_overwritten(store: ReleaseStore, tmp_path: Path) -> None:
    file = tmp_path / "services" / "shop" / "state.json"
    store.write(ServiceState(service="shop"))
    file.write_text("{")

    with pytest.raises(DeploymentFailed, match="the state of shop is damaged"):
        store.read("shop")

    assert file.read_text() == "{"


@pytest.mark.parametrize("service", ["", "..", "../shop", "shop/../bank", ".switch"])
def test_only_plain_names_are_names_of_services(store: ReleaseStore, service: str) -> None:
    with pytest.raises(DeploymentFailed, match="not the name of a service"):
        store.read(service)


def test_a_later_lock_has_a_higher_fence(store: ReleaseStore) -> None:
    fences = []
    for build_id in ("first", "second"):
        with store.locked("shop", build_id) as ledger:
            fences.append(ledger.state.fence)

    assert fences == [1, 2]
    assert store.read("shop").fence == 2


def test_what_services_share_is_theirs_alone(store: ReleaseStore) -> None:
    assert store.shared("shop", "data").stat().st_mode & 0o777 == 0o700
