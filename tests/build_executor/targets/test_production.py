"""Which production targets there are, what the settings refuse, and where users meet a service."""

import threading
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path, PurePosixPath

import pytest

from build_executor.errors import InvalidSettings
from build_executor.settings import Settings
from build_executor.targets import open_targets
from build_executor.targets.production import public_url
from build_executor.targets.shell import Login
from tests.fakes.production import FakeShell

SHELL = FakeShell()
LOGIN = Login(user="deploy", host="shop.example")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text("")
    return file


def settings(key_file: Path | None, *hosts: str) -> Settings:
    return Settings(production_hosts=hosts, ssh_key_file=key_file, ssh_known_hosts=key_file)


def test_each_production_host_is_a_target_and_none_is_contacted(key_file: Path) -> None:
    before = threading.active_count()

    targets = open_targets("production", settings(key_file, "deploy@one", "deploy@[::1]:2222"))

    assert [target.name for target in targets] == ["production", "production-2"]
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("hosts", "reason"),
    [
        ((), "set PRODUCTION_HOSTS"),
        (("one",), "not a user@host"),
        (("-oProxyCommand=x@one",), "not a user@host"),
        (("deploy@one;id",), "not a user@host"),
        (("deploy@one:port",), "not a user@host"),
        (("deploy@one", "other@one:2222"), "names a host twice"),
    ],
)
def test_hosts_that_cannot_be_meant_are_refused(
    key_file: Path, hosts: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        open_targets("production", settings(key_file, *hosts))


def test_a_key_and_known_hosts_are_needed(key_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="needs SSH_KEY_FILE"):
        open_targets("production", settings(None, "deploy@one"))
    with pytest.raises(InvalidSettings, match="SSH_KEY_FILE names no file"):
        open_targets("production", settings(tmp_path / "absent", "deploy@one"))
    with pytest.raises(InvalidSettings, match="needs SSH_KNOWN_HOSTS"):
        open_targets(
            "production", Settings(production_hosts=("deploy@one",), ssh_key_file=key_file)
        )


@pytest.mark.parametrize("root", ["relative", "/", "/srv/a b", "/srv/%i", "/srv/" + "a" * 90])
def test_a_root_that_a_unit_cannot_name_is_refused(root: str) -> None:
    with pytest.raises(ValueError, match="must be an absolute path"):
        Settings(production_root=PurePosixPath(root))


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRODUCTION_HOSTS", "deploy@one, deploy@two:2222,")

    assert Settings().production_hosts == ("deploy@one", "deploy@two:2222")


@pytest.mark.parametrize("text", ["deploy@one", "deploy@one:2222", "deploy@[::1]:2222"])
def test_a_login_is_written_as_it_is_read(text: str) -> None:
    assert str(Login.parse(text)) == text


@pytest.mark.parametrize(
    ("login", "bind", "url"),
    [
        (LOGIN, IPv4Address("0.0.0.0"), "http://shop.example:80"),  # noqa: S104 - what is meant
        (LOGIN, IPv6Address("::"), "http://shop.example:80"),
        (LOGIN, IPv4Address("192.0.2.1"), "http://192.0.2.1:80"),
        (LOGIN, IPv6Address("2001:db8::1"), "http://[2001:db8::1]:80"),
        (Login(user="deploy", host="::2"), IPv6Address("::"), "http://[::2]:80"),
        (LOGIN, IPv4Address("127.0.0.1"), "http://127.0.0.1:80"),
    ],
)
def test_users_meet_a_service_where_its_port_is_opened(
    login: Login, bind: IPv4Address | IPv6Address, url: str
) -> None:
    assert public_url(login, str(bind), 80, SHELL) == url


def test_public_ports_that_nobody_but_the_host_meets_are_refused(key_file: Path) -> None:
    bound = settings(key_file, "deploy@shop.example").model_copy(
        update={"production_bind": IPv4Address("127.0.0.1")}
    )

    with pytest.raises(InvalidSettings, match=r"PRODUCTION_BIND 127\.0\.0\.1: users"):
        open_targets("production", bound)
