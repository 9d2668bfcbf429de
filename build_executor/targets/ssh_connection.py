"""One SSH connection: whom we trust, what we offer, and what each failure means.

The host must be known beforehand and only the configured key is offered: no agent, no password, no
key of the user's home. A dead network is noticed within 20 seconds, whoever waits for what.
"""

import logging
import socket
from pathlib import Path

import paramiko

from build_executor.errors import DeploymentFailed
from build_executor.models import Value
from build_executor.targets.shell import Login

_CONNECT_SECONDS = 5.0
_HANDSHAKE_SECONDS = 10.0
_UNACKNOWLEDGED_MS = 15_000
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_WEAK = {
    "ciphers": ["3des-cbc", "aes128-cbc", "aes192-cbc", "aes256-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1", "hmac-sha1-96"],
}
_LOG = "build_executor.paramiko"
# What paramiko raises when a connection has ended; EOFError also where it only sends.
LOST = (OSError, EOFError, paramiko.SSHException)


class Credentials(Value):
    """Our key, and the keys of the hosts that we trust."""

    key_file: Path
    known_hosts: Path


class _UnknownHostKey(Exception):
    """The host is not in the file of known hosts."""


class _OnlyKnownHosts(paramiko.MissingHostKeyPolicy):
    def missing_host_key(self, _: paramiko.SSHClient, __: str, key: paramiko.PKey) -> None:
        raise _UnknownHostKey(f"{key.get_name()} {key.fingerprint}")


def connect(login: Login, credentials: Credentials) -> paramiko.SSHClient:
    """An open connection; DeploymentFailed says what is wrong with it, and what to do."""
    key = _key(credentials.key_file, login)
    # What goes wrong is said by the error; paramiko would log it once more, with its stack.
    logging.getLogger(_LOG).setLevel(logging.CRITICAL)
    client = paramiko.SSHClient()
    client.set_log_channel(_LOG)
    client.set_missing_host_key_policy(_OnlyKnownHosts())
    try:
        client.load_host_keys(str(credentials.known_hosts))
    except (OSError, paramiko.SSHException) as error:
        raise DeploymentFailed(f"{login}: SSH_KNOWN_HOSTS cannot be read: {error}") from error
    try:
        _enter(client, login, key)
    except (*LOST, _UnknownHostKey) as error:
        client.close()
        raise DeploymentFailed(f"{login}: {_meaning(error, login)}") from error
    return client


def _key(file: Path, login: Login) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(str(file))
    except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
        # A key with a passphrase is among them: builds need one of their own without.
        message = f"{login}: SSH_KEY_FILE {file} cannot be used: {error}"
        raise DeploymentFailed(message) from error


def _enter(client: paramiko.SSHClient, login: Login, key: paramiko.PKey) -> None:
    connection = socket.create_connection((login.host, login.port), _CONNECT_SECONDS)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        # Small packets follow each other: each would wait for the host to acknowledge the last one.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        client.connect(
            login.host,
            login.port,
            login.user,
            pkey=key,
            sock=connection,
            allow_agent=False,
            look_for_keys=False,
            timeout=_HANDSHAKE_SECONDS + 1,  # the whole handshake, its parts first
            banner_timeout=_HANDSHAKE_SECONDS,
            auth_timeout=_HANDSHAKE_SECONDS,
            channel_timeout=_HANDSHAKE_SECONDS,
            disabled_algorithms=_WEAK,
        )
        transport_of(client).set_keepalive(5)
    except BaseException:
        connection.close()
        raise


def transport_of(client: paramiko.SSHClient) -> paramiko.Transport:
    """The connection's transport; EOFError if it was lost."""
    transport = client.get_transport()
    if transport is None:
        raise EOFError("the connection was lost")
    return transport


def _meaning(error: Exception, login: Login) -> str:
    """What went wrong and what to do, in the words of whoever has to do it."""
    match error:
        case _UnknownHostKey():
            return (
                f"its host key ({error}) is not known: compare it with the one that the host"
                " shows, then add it to SSH_KNOWN_HOSTS"
            )
        case paramiko.BadHostKeyException():
            return (
                f"its host key has CHANGED (now {error.key.fingerprint}): somebody may be in"
                " between; if the host was set up anew, replace its line in SSH_KNOWN_HOSTS"
            )
        case paramiko.AuthenticationException():
            return (
                f"it does not accept our key for {login.user}: add the public part of"
                f" SSH_KEY_FILE to ~{login.user}/.ssh/authorized_keys there"
            )
        case _:
            return _network_meaning(error, login)


def _network_meaning(error: Exception, login: Login) -> str:
    match error:
        case ConnectionRefusedError():
            return f"port {login.port} is closed: is sshd running, is the port right?"
        case socket.gaierror():
            return f"the name service does not know {login.host}: {error.strerror}"
        case TimeoutError():
            return f"no answer from port {login.port}: is the host up, is a firewall in between?"
        case paramiko.SSHException() if _is_silence(error):
            return f"what listens on port {login.port} does not speak SSH, or hangs: {error}"
        case _:
            return f"cannot connect: {str(error) or type(error).__name__}"


def _is_silence(error: paramiko.SSHException) -> bool:
    return "banner" in str(error) or "No existing session" in str(error)
