"""Where the Messages API is, and how a call of it fails: what the client and its callers share."""

from dataclasses import dataclass, field
from enum import StrEnum, auto


class Fault(StrEnum):
    """Why a call came to nothing, by what can be done about it."""

    GONE = auto()  # the model is not there any more: ask another one
    KEY = auto()  # the key is not accepted, may not, or has no credit: nothing helps
    REJECTED = auto()  # our request is not accepted as it is
    TOO_LONG = auto()  # the question does not fit: ask for less
    BUSY = auto()  # ask again later
    UNREACHABLE = auto()  # nobody answered: ask again later
    CUT = auto()  # the answer broke off


class CallFailed(Exception):
    """A call failed; `wait` is what the server asked for, `is_free` whether it can cost nothing."""

    def __init__(
        self, fault: Fault, message: str, wait: float | None = None, *, is_free: bool = True
    ) -> None:
        super().__init__(fault, message, wait)
        self.fault, self.message, self.wait, self.is_free = fault, message, wait, is_free


@dataclass(frozen=True)
class Endpoint:
    """Where the API is, and with which key."""

    url: str
    key: str = field(repr=False)
    connect_seconds: float = 5.0
    silence_seconds: float = 300.0  # a tool's field is sent only once it is complete
