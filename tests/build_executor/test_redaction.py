import base64
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from build_executor.redaction import Redactor, mask_secrets

SECRET = "s3cr3t/token with spaces"


@given(before=st.text(), after=st.text())
def test_a_secret_disappears_wherever_it_stands(before: str, after: str) -> None:
    redact = Redactor([SECRET])

    assert SECRET not in redact(f"{before}{SECRET}{after}")


@pytest.mark.parametrize(
    "form",
    ["s3cr3t%2Ftoken%20with%20spaces", base64.b64encode(SECRET.encode()).decode().rstrip("=")],
)
def test_an_encoded_secret_disappears_too(form: str) -> None:
    redact = Redactor([SECRET])

    assert redact(f"GET /?key={form}") == "GET /?key=***"


def test_a_very_short_secret_is_left_alone_because_it_would_mask_ordinary_words() -> None:
    redact = Redactor(["on"])

    assert redact("go on") == "go on"


def test_an_ordinary_record_is_masked_too(caplog: pytest.LogCaptureFixture) -> None:
    factory = logging.getLogRecordFactory()
    mask_secrets([SECRET])
    logging.getLogger("test").warning("key %s", SECRET)
    logging.setLogRecordFactory(factory)

    assert "key ***" in caplog.text


def test_log_records_are_masked_with_their_arguments_and_tracebacks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    factory = logging.getLogRecordFactory()
    mask_secrets([SECRET])
    try:
        int(f"bad key {SECRET}")
    except ValueError:
        logging.getLogger("test").exception("key %s failed", SECRET)
    finally:
        logging.setLogRecordFactory(factory)

    assert "key *** failed" in caplog.text
    assert "'bad key ***'" in caplog.text
    assert SECRET not in caplog.text
