"""The bodies that the service takes and gives, as its specification describes them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StrictInt,
    WithJsonSchema,
)


def _check_instant(text: str) -> str:
    datetime.fromisoformat(text)
    return text


DateTime = Annotated[
    str,
    AfterValidator(_check_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Payment(BaseModel):
    """A payment."""

    payment_id: str
    status: Literal["pending", "captured", "refunded", "cancelled"]
    amount: StrictInt
    currency: Literal["EUR", "USD", "GBP"]
    customer_id: str
    created_at: DateTime
    payment_url: str
    description: str | None = None
    metadata: dict[str, Any] | None = None
    captured_at: DateTime | None = None
    updated_at: DateTime | None
    cancelled_at: DateTime | None = None
    refunded_at: DateTime | None = None
    reason: str | None = None


class Note(BaseModel):
    """A note."""

    note_id: str
    payment_id: str
    author: str
    text: str
    created_at: DateTime


class CreatePayment(BaseModel):
    """What POST /payments takes."""

    amount: StrictInt
    currency: Literal["EUR", "USD", "GBP"]
    customer_id: str
    description: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


class UpdatePayment(BaseModel):
    """What PATCH /payments/{payment_id} takes."""

    description: str | None = None
    metadata: dict[str, Any] | None = None


class CancelPayment(BaseModel):
    """What POST /payments/{payment_id}/cancel takes."""

    reason: str | None = None


class CreateNote(BaseModel):
    """What POST /payments/{payment_id}/notes takes."""

    author: str
    text: str


class ListPaymentsResponse(BaseModel):
    """ListPaymentsResponse."""

    payments: list[Payment]
    total: StrictInt
    pending: StrictInt
    captured: StrictInt
    refunded: StrictInt
    cancelled: StrictInt


class ListPaymentsQuery(BaseModel):
    """ListPaymentsQuery."""

    status: Literal["pending", "captured", "refunded", "cancelled"] | None = None
    currency: Literal["EUR", "USD", "GBP"] | None = None
    customer_id: str | None = None
    min_amount: int | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0)] = 0


class GetPaymentsStatsResponse(BaseModel):
    """GetPaymentsStatsResponse."""

    total_payments: StrictInt
    pending: StrictInt
    captured: StrictInt
    total_amount: StrictInt


class ListNotesResponse(BaseModel):
    """ListNotesResponse."""

    notes: list[Note]
    total: StrictInt


class ListNotesQuery(BaseModel):
    """ListNotesQuery."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    offset: Annotated[int, Field(ge=0)] = 0
