"""Where releases run: a shell (local) x a runtime (supervised process) x a switch (embedded)."""

from build_executor.errors import InvalidSettings
from build_executor.settings import Settings
from build_executor.targets.local import LocalTarget
from build_executor.targets.target import Target

__all__ = ["Target", "open_target"]


def open_target(name: str, settings: Settings) -> Target:
    """The target of this name; InvalidSettings if there is none or it is not configured."""
    if name == "local":
        return LocalTarget(settings.services, keep_releases=settings.keep_releases)
    if name == "production":
        raise InvalidSettings("the target `production` is not configured: deploy to `local`")
    raise InvalidSettings(f"no target of this name: `{name}`; there are `local`, `production`")
