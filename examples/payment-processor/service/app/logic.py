"""What each operation does: one function an operation, no HTTP, no SQL."""

from app.errors import require_state
from app.models import (
    CancelPayment,
    CreateNote,
    CreatePayment,
    GetPaymentsStatsResponse,
    ListNotesQuery,
    ListNotesResponse,
    ListPaymentsQuery,
    ListPaymentsResponse,
    Note,
    Payment,
    UpdatePayment,
)
from app.repository import Query, Record, Repository, new_id, timestamp


def create_payment(repository: Repository, body: CreatePayment) -> Payment:
    """Create a payment."""
    now = timestamp()
    sent = body.model_dump(mode="json", by_alias=True)
    record_id = new_id()
    record: Record = {
        **sent,
        "payment_id": record_id,
        "status": "pending",
        "created_at": now,
        "payment_url": "/payments/" + str(record_id),
        "updated_at": now,
    }
    repository.add("payments", record_id, record)
    return Payment.model_validate(record)


def list_payments(repository: Repository, query: ListPaymentsQuery) -> ListPaymentsResponse:
    """List payments, newest first."""
    page = repository.find(
        Query(
            "payments",
            equals={
                "status": query.status,
                "currency": query.currency,
                "customer_id": query.customer_id,
            },
            minimum={"amount": query.min_amount},
            descending=True,
            limit=query.limit,
            offset=query.offset,
        )
    )
    return ListPaymentsResponse.model_validate(
        {
            "payments": page.records,
            "total": page.total,
            "pending": repository.count("payments", {"status": "pending"}),
            "captured": repository.count("payments", {"status": "captured"}),
            "refunded": repository.count("payments", {"status": "refunded"}),
            "cancelled": repository.count("payments", {"status": "cancelled"}),
        }
    )


def get_payments_stats(repository: Repository) -> GetPaymentsStatsResponse:
    """Count payments."""
    return GetPaymentsStatsResponse.model_validate(
        {
            "total_payments": repository.count("payments"),
            "pending": repository.count("payments", {"status": "pending"}),
            "captured": repository.count("payments", {"status": "captured"}),
            "total_amount": repository.total("payments", "amount"),
        }
    )


def get_payment(repository: Repository, payment_id: str) -> Payment:
    """Read one payment."""
    record = repository.require("payments", payment_id, "payment")
    return Payment.model_validate(record)


def update_payment(repository: Repository, payment_id: str, body: UpdatePayment) -> Payment:
    """Change the description or the metadata of a payment."""
    with repository.transaction():
        record = repository.require("payments", payment_id, "payment")
        sent = body.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
        record |= {**sent, "updated_at": timestamp()}
        repository.replace("payments", payment_id, record, "updated")
    return Payment.model_validate(record)


def delete_payment(repository: Repository, payment_id: str) -> None:
    """Delete a payment."""
    with repository.transaction():
        repository.require("payments", payment_id, "payment")
        repository.remove("payments", payment_id)


def capture_payment(repository: Repository, payment_id: str) -> Payment:
    """Capture a payment. Only pending payments can be captured."""
    now = timestamp()
    with repository.transaction():
        record = repository.require("payments", payment_id, "payment")
        require_state(record, "status", ["pending"])
        record |= {"status": "captured", "captured_at": now, "updated_at": now}
        repository.replace("payments", payment_id, record, "captured")
    return Payment.model_validate(record)


def cancel_payment(repository: Repository, payment_id: str, body: CancelPayment) -> Payment:
    """Cancel a payment. Only pending payments can be cancelled."""
    now = timestamp()
    with repository.transaction():
        record = repository.require("payments", payment_id, "payment")
        require_state(record, "status", ["pending"])
        sent = body.model_dump(mode="json", by_alias=True, exclude_unset=True)
        record |= {**sent, "status": "cancelled", "updated_at": now, "cancelled_at": now}
        repository.replace("payments", payment_id, record, "cancelled")
    return Payment.model_validate(record)


def refund_payment(repository: Repository, payment_id: str) -> Payment:
    """Refund a payment in full. Only captured payments can be refunded."""
    now = timestamp()
    with repository.transaction():
        record = repository.require("payments", payment_id, "payment")
        require_state(record, "status", ["captured"])
        record |= {"status": "refunded", "updated_at": now, "refunded_at": now}
        repository.replace("payments", payment_id, record, "refunded")
    return Payment.model_validate(record)


def create_note(repository: Repository, payment_id: str, body: CreateNote) -> Note:
    """Add a note to a payment."""
    repository.require("payments", payment_id, "payment")
    sent = body.model_dump(mode="json", by_alias=True)
    record_id = new_id()
    record: Record = {
        **sent,
        "note_id": record_id,
        "payment_id": payment_id,
        "created_at": timestamp(),
    }
    repository.add("notes", record_id, record)
    return Note.model_validate(record)


def list_notes(repository: Repository, payment_id: str, query: ListNotesQuery) -> ListNotesResponse:
    """List the notes of a payment."""
    repository.require("payments", payment_id, "payment")
    page = repository.find(
        Query("notes", equals={"payment_id": payment_id}, limit=query.limit, offset=query.offset)
    )
    return ListNotesResponse.model_validate({"notes": page.records, "total": page.total})
