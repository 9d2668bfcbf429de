"""Secrets never reach a log, whoever writes the line."""

import base64
import logging
from collections.abc import Iterable
from urllib.parse import quote

_MASK = "***"
_SHORTEST = 6


class Redactor:
    """Masks known secrets in text, as they are, URL-quoted, and in base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST:
                encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
                forms |= {secret, quote(secret, safe=""), encoded}
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The same text without any of the secrets."""
        for form in self._forms:
            text = text.replace(form, _MASK)
        return text


def mask_secrets(secrets: Iterable[str]) -> None:
    """From now on every log record of this process is written without these secrets."""
    redact, make = Redactor(secrets), logging.getLogRecordFactory()

    def redacted(*arguments: object, **options: object) -> logging.LogRecord:
        record = make(*arguments, **options)
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = redact(logging.Formatter().formatException(record.exc_info))
        return record

    logging.setLogRecordFactory(redacted)
