"""Where everything is below the root folder of a production host.

<service>/releases/<id>/   one release, whole or absent
<service>/shared/          what outlives releases: data, logs
<service>/current          the live release, a symlink switched by rename
<service>/state.json       what is live, what is proven
<service>/deploy.lock      flock'ed while somebody deploys; never removed
<service>/change.lock      flock'ed while something of the service is changed; never removed
.dependencies/<key>/       packages of one lock, shared by the releases that are locked to it
.switch/                   the forwarder's table and admin socket
.tools/<digest>/           this program
"""

import re
from pathlib import Path

_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_KEY = re.compile(r"[0-9a-f]{32}")


class Refused(Exception):
    """What was asked for cannot be done; the text says why."""


class Locked(Refused):
    """The deploy lock is held by somebody else, or somebody else has had it since."""


class Places:
    """The folders and files below `root`; Refused for a name that could lead out of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def service(self, service: str) -> Path:
        """The folder of a service."""
        return self.root / _checked(service, _SERVICE, "the name of a service")

    def state(self, service: str) -> Path:
        """What is recorded of a service."""
        return self.service(service) / "state.json"

    def releases(self, service: str) -> Path:
        """The folder of a service's releases."""
        return self.service(service) / "releases"

    def release(self, service: str, release: str) -> Path:
        """Where a release is, or would be."""
        return self.releases(service) / _checked(release, _RELEASE, "a release")

    def shared(self, service: str, name: str) -> Path:
        """A private folder that outlives the service's releases; it is made."""
        folder = self.service(service) / "shared" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def dependencies(self, key: str) -> Path:
        """Where the packages of one lock are, or would be."""
        return self.root / ".dependencies" / _checked(key, _KEY, "the key of a lock")

    @property
    def ports(self) -> Path:
        """The public ports of the services."""
        return self.root / ".ports.json"

    @property
    def switch(self) -> Path:
        """The forwarder's folder."""
        return self.root / ".switch"


def _checked(name: str, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(name):
        raise Refused(f"not {what}: {name!r}")
    return name
