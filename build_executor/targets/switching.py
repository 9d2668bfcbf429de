"""What the settings say about a host's switch, whichever host it is."""

from urllib.parse import urlsplit

from build_executor.settings import Settings
from build_executor.targets.caddy import CaddySwitch
from build_executor.targets.caddy_admin import CaddyAdmin
from build_executor.targets.host import Parts
from build_executor.targets.switch import Trial


def switched(parts: Parts, settings: Settings, host: str = "127.0.0.1") -> Parts:
    """The parts with the switch and the trial of the settings; public ports are those of `host`."""
    parts = parts._replace(trial=_trial(settings))
    if settings.switch == "embedded":
        return parts
    reach = parts.reach
    admin = CaddyAdmin(str(settings.caddy_admin), lambda address: urlsplit(reach(address)).netloc)
    return parts._replace(switch=CaddySwitch(admin, host))


def _trial(settings: Settings) -> Trial:
    return Trial(
        header=_pair(settings.canary_header, ":"),
        cookie=_pair(settings.canary_cookie, "="),
        port_offset=settings.canary_port_offset,
    )


def _pair(text: str | None, separator: str) -> tuple[str, str] | None:
    if text is None:
        return None
    name, _, value = text.partition(separator)
    return name, value.strip()
