"""How a server of Caddy answered, from what it tells Prometheus."""

import re
from collections.abc import Iterator, Mapping

from build_executor.targets.switch import Counts

_SAMPLE = re.compile(r"^(\w+)\{(.*)\} ([\d.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_ASKED = "caddy_http_requests_total"
_ERRORS = "caddy_http_request_errors_total"
_ANSWERS = "caddy_http_request_duration_seconds_count"


def counted(metrics: str, server: str) -> Counts:
    """The answers of this server's proxy; failed are errors, and those of 500 and more."""
    asked = failed = 0
    for name, labels, value in _samples(metrics):
        if (labels.get("server"), labels.get("handler")) != (server, "reverse_proxy"):
            continue
        asked += value if name == _ASKED else 0
        failed += value if _is_failure(name, labels) else 0
    return Counts(answered=asked - failed, failed=failed)


def _is_failure(name: str, labels: Mapping[str, str]) -> bool:
    return name == _ERRORS or (name == _ANSWERS and labels["code"].startswith("5"))


def _samples(metrics: str) -> Iterator[tuple[str, Mapping[str, str], int]]:
    for name, labels, value in _SAMPLE.findall(metrics):
        yield name, dict(_LABEL.findall(labels)), int(float(value))
