"""The service's own endpoints: what comes in is checked here, what it means is in `app.logic`."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request, WebSocket

from app import logic
from app.events import stream
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
from app.repository import Repository

router = APIRouter(tags=["service"])


async def repository_of(request: Request) -> Repository:
    """The records of the running application."""
    repository: Repository = request.app.state.repository
    return repository


Store = Annotated[Repository, Depends(repository_of)]


@router.post(
    "/payments",
    status_code=201,
    responses={
        400: {"description": "The body is not JSON"},
        409: {"description": "Not possible in the present state"},
    },
    summary="Create a payment",
)
async def create_payment(body: CreatePayment, store: Store) -> Payment:
    """Create a payment."""
    return logic.create_payment(store, body)


@router.get(
    "/payments",
    status_code=200,
    summary="List payments, newest first",
)
async def list_payments(
    query: Annotated[ListPaymentsQuery, Query()], store: Store
) -> ListPaymentsResponse:
    """List payments, newest first."""
    return logic.list_payments(store, query)


@router.get(
    "/payments/stats",
    status_code=200,
    summary="Count payments",
)
async def get_payments_stats(store: Store) -> GetPaymentsStatsResponse:
    """Count payments."""
    return logic.get_payments_stats(store)


@router.get(
    "/payments/{payment_id}",
    status_code=200,
    responses={404: {"description": "Not found"}},
    summary="Read one payment",
)
async def get_payment(payment_id: str, store: Store) -> Payment:
    """Read one payment."""
    return logic.get_payment(store, payment_id)


@router.patch(
    "/payments/{payment_id}",
    status_code=200,
    responses={400: {"description": "The body is not JSON"}, 404: {"description": "Not found"}},
    summary="Change the description or the metadata of a payment",
)
async def update_payment(
    payment_id: str,
    body: Annotated[UpdatePayment, Body(default_factory=UpdatePayment)],
    store: Store,
) -> Payment:
    """Change the description or the metadata of a payment."""
    return logic.update_payment(store, payment_id, body)


@router.delete(
    "/payments/{payment_id}",
    status_code=204,
    responses={404: {"description": "Not found"}},
    summary="Delete a payment",
)
async def delete_payment(payment_id: str, store: Store) -> None:
    """Delete a payment."""
    logic.delete_payment(store, payment_id)


@router.post(
    "/payments/{payment_id}/capture",
    status_code=200,
    responses={
        404: {"description": "Not found"},
        409: {"description": "Not possible in the present state"},
    },
    summary="Capture a payment. Only pending payments can be captured.",
)
async def capture_payment(payment_id: str, store: Store) -> Payment:
    """Capture a payment. Only pending payments can be captured."""
    return logic.capture_payment(store, payment_id)


@router.post(
    "/payments/{payment_id}/cancel",
    status_code=200,
    responses={
        400: {"description": "The body is not JSON"},
        404: {"description": "Not found"},
        409: {"description": "Not possible in the present state"},
    },
    summary="Cancel a payment. Only pending payments can be cancelled.",
)
async def cancel_payment(
    payment_id: str,
    body: Annotated[CancelPayment, Body(default_factory=CancelPayment)],
    store: Store,
) -> Payment:
    """Cancel a payment. Only pending payments can be cancelled."""
    return logic.cancel_payment(store, payment_id, body)


@router.post(
    "/payments/{payment_id}/refund",
    status_code=200,
    responses={
        404: {"description": "Not found"},
        409: {"description": "Not possible in the present state"},
    },
    summary="Refund a payment in full. Only captured payments can be refunded.",
)
async def refund_payment(payment_id: str, store: Store) -> Payment:
    """Refund a payment in full. Only captured payments can be refunded."""
    return logic.refund_payment(store, payment_id)


@router.post(
    "/payments/{payment_id}/notes",
    status_code=201,
    responses={
        400: {"description": "The body is not JSON"},
        404: {"description": "Not found"},
        409: {"description": "Not possible in the present state"},
    },
    summary="Add a note to a payment",
)
async def create_note(payment_id: str, body: CreateNote, store: Store) -> Note:
    """Add a note to a payment."""
    return logic.create_note(store, payment_id, body)


@router.get(
    "/payments/{payment_id}/notes",
    status_code=200,
    responses={404: {"description": "Not found"}},
    summary="List the notes of a payment",
)
async def list_notes(
    payment_id: str, query: Annotated[ListNotesQuery, Query()], store: Store
) -> ListNotesResponse:
    """List the notes of a payment."""
    return logic.list_notes(store, payment_id, query)


@router.websocket("/payments/{payment_id}/stream")
async def stream_payment(websocket: WebSocket, payment_id: str) -> None:
    """Changes of one payment as they happen."""
    await stream(websocket, "payments", payment_id)
