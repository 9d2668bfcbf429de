"""What goes wrong on the way to a host: each has its own reason, within half a minute."""

import io
import os
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import paramiko
import pytest

from build_executor import command
from build_executor.errors import DeploymentFailed
from build_executor.targets import ssh_shell
from build_executor.targets.shell import Login
from build_executor.targets.ssh_connection import Credentials
from build_executor.targets.ssh_shell import SshShell
from tests.fakes.ssh_server import FakeSshServer
from tests.ports import free_port
from tests.production_host import ProductionHost

BOUND_SECONDS = 60  # half of it on a machine that does nothing else


class Host(Protocol):
    """A host that can be entered: one of threads, or a real one."""

    @property
    def login(self) -> str: ...

    @property
    def known_as(self) -> str: ...

    @property
    def key_file(self) -> Path: ...

    @property
    def known_hosts(self) -> Path: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeSshServer]:
    with FakeSshServer(tmp_path) as server:
        yield server


@pytest.fixture(params=["server", pytest.param("production_host", marks=pytest.mark.full)])
def host(request: pytest.FixtureRequest) -> Host:
    host: Host = request.getfixturevalue(request.param)
    return host


@pytest.fixture
def credentials(host: Host) -> Credentials:
    return Credentials(key_file=host.key_file, known_hosts=host.known_hosts)


@pytest.fixture
def server_credentials(server: FakeSshServer) -> Credentials:
    return Credentials(key_file=server.key_file, known_hosts=server.known_hosts)


@pytest.fixture
def shell(host: Host, credentials: Credentials) -> Iterator[SshShell]:
    shell = SshShell(Login.parse(host.login), credentials)
    yield shell
    shell.close()


@pytest.fixture
def real_shell(production_host: ProductionHost) -> Iterator[SshShell]:
    credentials = Credentials(
        key_file=production_host.key_file, known_hosts=production_host.known_hosts
    )
    shell = SshShell(Login.parse(production_host.login), credentials)
    yield shell
    shell.close()


def new_key(folder: Path) -> Path:
    generate = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "other"))
    command.run(generate, timeout=30)
    return folder / "other"


@contextmanager
def failing(reason: str) -> Iterator[None]:
    """What is done in the context fails for this reason, in time."""
    start = time.monotonic()
    with pytest.raises(DeploymentFailed, match=reason):
        yield
    assert time.monotonic() - start < BOUND_SECONDS


def entering(login: Login, credentials: Credentials, reason: str) -> None:
    with failing(f"(?s)^{login}: .*{reason}"):
        SshShell(login, credentials).run(("true",), timeout=5)


# -- entering


def test_a_host_that_is_not_known_is_not_entered(
    host: Host, credentials: Credentials, tmp_path: Path
) -> None:
    (tmp_path / "none").write_text("")
    unknowing = credentials.model_copy(update={"known_hosts": tmp_path / "none"})

    entering(Login.parse(host.login), unknowing, "is not known: compare it")


def test_a_host_whose_key_has_changed_is_not_entered(
    host: Host, credentials: Credentials, tmp_path: Path
) -> None:
    public = new_key(tmp_path).with_suffix(".pub").read_text()
    (tmp_path / "known").write_text(f"{host.known_as} {public}")
    deceived = credentials.model_copy(update={"known_hosts": tmp_path / "known"})

    entering(Login.parse(host.login), deceived, "has CHANGED")


def test_a_key_that_the_host_does_not_accept_is_named(
    host: Host, credentials: Credentials, tmp_path: Path
) -> None:
    stranger = credentials.model_copy(update={"key_file": new_key(tmp_path)})

    entering(Login.parse(host.login), stranger, "does not accept our key for deploy")


def test_a_closed_port_is_named(credentials: Credentials) -> None:
    login = Login(user="deploy", host="127.0.0.1", port=free_port())

    entering(login, credentials, f"port {login.port} is closed")


@pytest.mark.full
def test_a_port_that_accepts_and_says_nothing_is_named(credentials: Credentials) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        login = Login(user="deploy", host="127.0.0.1", port=server.getsockname()[1])

        entering(login, credentials, "does not speak SSH, or hangs")


def test_a_name_that_nobody_knows_is_named(credentials: Credentials) -> None:
    login = Login(user="deploy", host="nowhere.invalid")

    entering(login, credentials, "does not know nowhere.invalid|cannot connect")


@pytest.mark.full
def test_a_host_that_answers_nothing_is_named(
    production_host: ProductionHost,
) -> None:
    credentials = Credentials(
        key_file=production_host.key_file, known_hosts=production_host.known_hosts
    )
    with silenced(production_host):
        entering(Login.parse(production_host.login), credentials, "no answer from port 22")


@pytest.mark.parametrize("content", ["", "no key"])
def test_a_key_file_that_is_none_is_named(
    host: Host, credentials: Credentials, tmp_path: Path, content: str
) -> None:
    (tmp_path / "key").write_text(content)
    broken = credentials.model_copy(update={"key_file": tmp_path / "key"})

    with failing("SSH_KEY_FILE .* cannot be used"):
        SshShell(Login.parse(host.login), broken).run(("true",), timeout=5)


def test_a_key_with_a_passphrase_is_named(
    host: Host, credentials: Credentials, tmp_path: Path
) -> None:
    key = tmp_path / "locked"
    generate = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key))
    command.run(generate, timeout=30)
    locked = credentials.model_copy(update={"key_file": key})

    with failing("cannot be used: .*password"):
        SshShell(Login.parse(host.login), locked).run(("true",), timeout=5)


def test_known_hosts_that_cannot_be_read_are_named(
    host: Host, credentials: Credentials, tmp_path: Path
) -> None:
    absent = credentials.model_copy(update={"known_hosts": tmp_path / "absent"})

    with failing("SSH_KNOWN_HOSTS cannot be read"):
        SshShell(Login.parse(host.login), absent).run(("true",), timeout=5)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name service does not know"),
        (TimeoutError("timed out"), "no answer from port 22: is the host up"),
        (paramiko.SSHException("Error reading SSH protocol banner"), "does not speak SSH"),
        (paramiko.SSHException("No existing session"), "does not speak SSH, or hangs"),
        (OSError(113, "No route to host"), "cannot connect: .*No route to host"),
        (EOFError(), "cannot connect: EOFError"),
    ],
)
def test_a_network_that_fails_is_told_in_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    meaning: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    (tmp_path / "known").touch()
    credentials = Credentials(key_file=new_key(tmp_path), known_hosts=tmp_path / "known")
    monkeypatch.setattr(socket, "create_connection", fail)

    entering(Login(user="deploy", host="shop.example"), credentials, meaning)


# -- commands


def test_a_command_is_words_and_no_shell_sees_them(shell: SshShell) -> None:
    said = shell.run(("printf", "%s|", "$(id)", "a b", "'\";&", "*"), timeout=30)

    assert (said.output, said.status) == ("$(id)|a b|'\";&|*|", 0)


def test_output_and_status_of_a_failing_command_are_told(shell: SshShell) -> None:
    said = shell.run(("sh", "-c", "echo out; echo err >&2; exit 7"), timeout=30)

    assert (said.output, said.status) == ("out\nerr\n", 7)


def test_much_is_sent_in_pieces(shell: SshShell, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * 30_000_000)

    with big.open("rb") as stream:
        said = shell.run(("wc", "-c"), stdin=(b"12345", stream), timeout=60)

    assert said.output.strip() == "30000005"


def test_a_command_that_wants_no_more_may_end(shell: SshShell, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * 30_000_000)

    with big.open("rb") as stream:
        said = shell.run(("sh", "-c", "echo enough; exit 3"), stdin=(stream,), timeout=60)

    assert (said.output, said.status) == ("enough\n", 3)


@pytest.mark.full
def test_a_command_that_does_not_end_is_ended_there(
    real_shell: SshShell, production_host: ProductionHost
) -> None:
    with failing("did not end within 1 s"):
        real_shell.run(("sleep", "4321"), timeout=1)

    assert production_host.run("pgrep -x sleep || echo none").strip() == "none"


@pytest.mark.full
def test_a_lost_connection_is_no_success_and_the_next_command_has_a_new_one(
    real_shell: SshShell,
) -> None:
    kill_our_session = "pkill -KILL -u deploy sshd; sleep 10"

    with failing("the connection was lost"):
        real_shell.run(("sh", "-c", kill_our_session), timeout=20)

    assert real_shell.run(("echo", "again"), timeout=30).output == "again\n"


@pytest.mark.full
def test_a_host_that_falls_silent_is_given_up(
    real_shell: SshShell, production_host: ProductionHost
) -> None:
    real_shell.run(("true",), timeout=30)
    with ExitStack() as stack, failing("the connection was lost|sshd opens no session"):
        silence = threading.Timer(1, stack.enter_context, [silenced(production_host)])
        silence.start()
        stack.callback(silence.join)
        real_shell.run(("sleep", "60"), timeout=100)


@pytest.mark.full
def test_a_host_that_hangs_is_given_up(
    real_shell: SshShell, production_host: ProductionHost
) -> None:
    real_shell.run(("true",), timeout=30)
    production_host.container.pause()
    try:
        with failing("the connection was lost|sshd opens no session|does not speak SSH"):
            real_shell.run(("true",), timeout=100)
    finally:
        production_host.container.unpause()


def test_what_is_held_ends_with_its_holder(shell: SshShell) -> None:
    with shell.hold(("sh", "-c", "echo held; exec cat >/dev/null"), stdin=b"") as held:
        assert held.line(5) == "held\n"
        assert held.is_alive()

    assert not held.is_alive()
    assert held.line(5) == ""


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_an_address_of_the_host_is_reached_by_a_port_of_ours(shell: SshShell, host: Host) -> None:
    address = f"127.0.0.1:{Login.parse(host.login).port}"
    url = shell.reach(address)

    with socket.create_connection(("127.0.0.1", port_of(url)), 30) as connection:
        assert connection.recv(4) == b"SSH-"
        connection.sendall(b"SSH-2.0-test\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert shell.reach(address) == url


def test_an_address_where_nobody_listens_ends_at_once(shell: SshShell) -> None:
    url = shell.reach("127.0.0.1:9")

    with socket.create_connection(("127.0.0.1", port_of(url)), 30) as connection:
        assert connection.recv(4) == b""


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """More than 1024."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 4096), before[1]))
    with ExitStack() as stack:
        for _ in range(1100):
            stack.enter_context(open(os.devnull, "rb"))  # noqa: PTH123 - no path
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("many_open_files")
def test_the_host_is_reached_however_many_files_are_open(
    server: FakeSshServer, server_credentials: Credentials
) -> None:
    with closing_shell(server, server_credentials) as shell:
        url = shell.reach(f"127.0.0.1:{server.port}")

        with socket.create_connection(("127.0.0.1", port_of(url)), BOUND_SECONDS) as connection:
            assert connection.recv(4) == b"SSH-"


def test_a_socket_of_the_host_is_reached_by_one_of_ours_alone(
    server: FakeSshServer, server_credentials: Credentials
) -> None:
    with tempfile.TemporaryDirectory(prefix="h") as folder, socket.socket(socket.AF_UNIX) as there:
        there.bind(f"{folder}/there")
        there.listen()
        there.settimeout(BOUND_SECONDS)
        with closing_shell(server, server_credentials) as shell:
            path = Path(shell.reach_socket(f"{folder}/there"))
            assert path.parent.stat().st_mode & 0o777 == 0o700
            with socket.socket(socket.AF_UNIX) as here:
                here.connect(str(path))
                peer, _ = there.accept()
                with peer:
                    here.sendall(b"ping")
                    assert peer.recv(4) == b"ping"
    assert not path.exists()


def test_what_is_held_is_told_that_we_live_and_answers_line_by_line(
    server: FakeSshServer, server_credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_shell, "_BEAT_SECONDS", 0.01)
    with (
        closing_shell(server, server_credentials) as shell,
        shell.hold(("cat",), stdin=b"first\n") as held,
    ):
        held.write(b"second\nthird\n")

        assert [held.line(5) for _ in range(3)] == ["first\n", "second\n", "third\n"]
        assert held.line(0.1) == ""


# -- losses


def test_a_connection_that_was_lost_in_between_is_replaced(
    server: FakeSshServer, server_credentials: Credentials
) -> None:
    with closing_shell(server, server_credentials) as shell:
        shell.run(("true",), timeout=5)
        server.lose()

        assert shell.run(("echo", "again"), timeout=30).output == "again\n"


def test_a_connection_that_is_lost_during_a_command_is_no_success(
    server: FakeSshServer, server_credentials: Credentials
) -> None:
    with closing_shell(server, server_credentials) as shell, failing("was lost during `cat`"):
        threading.Timer(0.2, server.lose).start()
        shell.run(("cat",), stdin=(Endless(),), timeout=5)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Our ends of the connections that are opened from now on."""
    opened: list[socket.socket] = []
    connect = socket.create_connection

    def open_and_remember(address: tuple[str, int], timeout: float) -> socket.socket:
        opened.append(connect(address, timeout))
        return opened[-1]

    monkeypatch.setattr(socket, "create_connection", open_and_remember)
    return opened


def test_a_connection_that_is_lost_while_something_is_held_ends_what_is_held_and_no_more(
    server: FakeSshServer, server_credentials: Credentials, connections: list[socket.socket]
) -> None:
    with (
        closing_shell(server, server_credentials) as shell,
        shell.hold(("cat",), stdin=b"first\n") as held,
    ):
        assert held.line(5) == "first\n"
        connections[0].shutdown(socket.SHUT_WR)
        held.write(b"second\n")

        assert held.line(5) == ""
        assert not held.is_alive()


def test_a_channel_whose_connection_is_lost_is_closed_without_a_word(
    server: FakeSshServer, server_credentials: Credentials, connections: list[socket.socket]
) -> None:
    with closing_shell(server, server_credentials) as shell, shell.hold(("cat",), stdin=b""):
        connections[0].shutdown(socket.SHUT_WR)


def test_a_host_that_opens_no_session_is_named(
    server: FakeSshServer, server_credentials: Credentials
) -> None:
    server.opens_sessions = False

    with closing_shell(server, server_credentials) as shell, failing("sshd opens no session"):
        shell.run(("true",), timeout=5)


def test_who_goes_back_does_not_wait_for_a_dead_host_again_and_again(
    server: FakeSshServer, server_credentials: Credentials
) -> None:
    with closing_shell(server, server_credentials) as shell:
        shell.run(("true",), timeout=5)
        server.__exit__()
        for _ in range(2):
            with failing("is closed"):
                shell.run(("true",), timeout=5)


def test_a_host_that_says_nothing_is_given_up(
    server: FakeSshServer, server_credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_shell, "_SILENCE_SECONDS", 0.1)
    with closing_shell(server, server_credentials) as shell:
        with failing("was lost during `60`"):
            shell.run(("sleep", "60"), timeout=100)
        with shell.hold(("sleep", "60"), stdin=b"") as held:
            assert held.line(5) == ""


def test_a_host_that_never_ends_is_given_up(
    server: FakeSshServer, server_credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_shell, "_MARGIN_SECONDS", -10.0)
    with closing_shell(server, server_credentials) as shell, failing("it does not end"):
        shell.run(("sh", "-c", "while echo x; do sleep 0.01; done"), timeout=5)


def test_of_much_that_is_said_the_end_is_kept(
    server: FakeSshServer, server_credentials: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_shell, "_OUTPUT_LIMIT", 1000)
    with closing_shell(server, server_credentials) as shell:
        said = shell.run(("seq", "100000"), timeout=30).output

    assert said.endswith("99999\n100000\n")
    assert len(said) < 200_000


class Endless(io.BytesIO):
    """A stream without an end."""

    def read(self, _: int | None = -1, /) -> bytes:
        time.sleep(0.001)
        return b"x" * 1000


@contextmanager
def closing_shell(server: FakeSshServer, credentials: Credentials) -> Iterator[SshShell]:
    shell = SshShell(Login.parse(server.login), credentials)
    try:
        yield shell
    finally:
        shell.close()


@contextmanager
def silenced(host: ProductionHost) -> Iterator[None]:
    """The host receives nothing any more, and its peers are not told."""
    assert host.run("iptables -I INPUT -p tcp --dport 22 -j DROP && echo ok").endswith("ok\n")
    try:
        yield
    finally:
        host.run("iptables -D INPUT -p tcp --dport 22 -j DROP")
