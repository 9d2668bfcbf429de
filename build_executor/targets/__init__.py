"""Where releases run: a store x a runtime x a switch, on this machine or on others."""

from build_executor.errors import InvalidSettings
from build_executor.settings import Settings
from build_executor.targets.local import local_target
from build_executor.targets.production import production_targets
from build_executor.targets.target import Target

__all__ = ["Target", "open_targets"]


def open_targets(name: str, settings: Settings) -> tuple[Target, ...]:
    """The hosts of this target, which always run the same release.

    InvalidSettings if there is no target of this name, or it is not configured.
    """
    if name == "local":
        return (local_target(settings),)
    if name == "production":
        return production_targets(settings)
    raise InvalidSettings(f"no target of this name: `{name}`; there are `local`, `production`")
