"""Running releases: start, ask how they are, stop."""

from build_executor.files import write_atomically
from build_executor.on_host.ledger import changing
from build_executor.on_host.places import Places
from build_executor.on_host.units import SERVICES, port_of, service_text, service_unit
from build_executor.on_host.user_manager import Manager
from build_executor.ports import private_port

_KEPT_LOG = 256 * 1024


def start(manager: Manager, places: Places, service: str, release: str, fence: int) -> str:
    """Keep the release running; the private address that it was told to listen on.

    One that runs is left as it is; what happened to it before is forgotten.
    """
    unit = service_unit(service, release)
    manager.check()
    with changing(places, service, fence):
        port = port_of(manager.text(unit))
        if port is not None and _runs(manager, unit, service_text(places, service, release, port)):
            manager.forgive(unit)
        else:
            manager.end(unit)  # its port may be somebody else's by now
            port = private_port(_used_ports(manager))
            manager.run(unit, service_text(places, service, release, port))
    return f"127.0.0.1:{port}"


def address(manager: Manager, service: str, release: str) -> str | None:
    """The private address of the release; None if it is not kept running."""
    port = port_of(manager.text(service_unit(service, release)))
    return f"127.0.0.1:{port}" if port else None


def complaint(manager: Manager, service: str, release: str) -> str | None:
    """What is wrong with the running release: it does not run, or was restarted since `start`."""
    unit = service_unit(service, release)
    if manager.text(unit) is None:
        return "it is not kept running"
    state = manager.state(unit)
    if state.get("ActiveState") in {"active", "reloading"} and state.get("NRestarts") == "0":
        return None
    result = state.get("Result", "unknown")
    return f"its process ended ({result}): {manager.said(unit) or 'it said nothing'}"


def log(manager: Manager, service: str, release: str) -> str:
    """The end of what the release said."""
    return manager.said(service_unit(service, release))


def stop(manager: Manager, places: Places, service: str, release: str, fence: int) -> None:
    """End the release for good; what it said last stays in the service's `shared/logs`."""
    unit = service_unit(service, release)
    with changing(places, service, fence):
        if manager.text(unit) is None:
            return
        said = manager.said(unit, _KEPT_LOG)
        write_atomically(places.shared(service, "logs") / f"{release}.log", said.encode())
        manager.end(unit)


def _runs(manager: Manager, unit: str, text: str) -> bool:
    return manager.text(unit) == text and manager.is_active(unit)


def _used_ports(manager: Manager) -> set[int]:
    return {port for text in manager.texts(SERVICES) if (port := port_of(text))}
