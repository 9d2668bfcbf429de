"""Messages to the mesh in the UDC's form; best effort, because they decide nothing."""

import logging
from datetime import UTC, datetime

from pydantic import JsonValue

from build_executor.errors import NoAnswer
from build_executor.http_client import HttpClient
from build_executor.models import Value
from build_executor.settings import Settings

_OK = 200
_log = logging.getLogger(__name__)


class BuildEvent(Value):
    """What sovereign-factory is told of a build."""

    event: str = "build_failed"
    build_id: str
    service_name: str
    phase: str
    error: str
    rollback_status: str = "not_needed"


def notify_sovereign_factory(settings: Settings, event: BuildEvent) -> bool:
    """Tell it once, if its URL is set; whether it took the message. Never raises, logs why not."""
    if settings.sovereign_factory_url is None:
        return False
    message: JsonValue = {
        "trace_id": event.build_id,
        "source": "build-executor",
        "target": "sovereign-factory",
        "message_type": "event",
        "payload": event.model_dump(mode="json"),
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    try:
        with HttpClient(str(settings.sovereign_factory_url)) as client:
            answer = client.call("POST", "/message", message)
    except NoAnswer as error:
        _log.warning("sovereign-factory was not told of %s: %s", event.event, error)
        return False
    if answer.status != _OK:
        _log.warning("sovereign-factory refused %s: %d", event.event, answer.status)
    return answer.status == _OK
