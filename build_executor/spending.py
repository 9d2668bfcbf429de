"""What language models cost: counted a call, an attempt, a build and a day, and bounded beforehand.

A call is reserved at the most it can cost before it is made, and settled at what it did cost
afterwards. Both are on disk before anybody goes on, so a build that is killed in between leaves
its reservation standing: the day is then overcounted, never undercounted.
"""

import contextlib
import fcntl
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError

from build_executor.artifacts import COST, ArtifactStore
from build_executor.claude_models import Price, dearest, price_of
from build_executor.errors import CostCeilingReached
from build_executor.files import write_atomically
from build_executor.models import Usage, Value
from build_executor.settings import Settings

_CENT_FRACTION = 6


class Call(Value):
    """One call of a model; `counted_dollars` is what the ceilings count it at."""

    id: str
    build_id: str
    attempt: int
    model: str
    at: datetime
    outcome: str = "not over yet"
    usage: Usage = Usage()
    dollars: float | None = None
    counted_dollars: float

    def __str__(self) -> str:
        """One line for a log: whom it asked, with what, for how much."""
        used = self.usage
        prompt = used.input_tokens + used.cache_write_tokens + used.cache_read_tokens
        price = "at an unknown price" if self.dollars is None else f"for ${self.dollars:.4f}"
        return (
            f"{self.model}, {prompt} tokens in ({used.cache_read_tokens} of them cached), "
            f"{used.output_tokens} out, {price}"
        )


class Sum(Value):
    """Several calls; `dollars` is None as soon as one of them has no known cost."""

    calls: int = 0
    usage: Usage = Usage()
    dollars: float | None = 0.0

    @classmethod
    def of(cls, calls: Sequence[Call]) -> Self:
        """The sum of these calls."""
        costs = [call.dollars for call in calls if call.dollars is not None]
        is_known = len(costs) == len(calls)
        return cls(
            calls=len(calls),
            usage=sum((call.usage for call in calls), start=Usage()),
            dollars=_rounded(sum(costs)) if is_known else None,
        )


class BuildCost(Value):
    """The artifact cost.json: what a build's calls cost, in all, an attempt, and each."""

    dollars: float | None = 0.0
    counted_dollars: float = 0.0
    ceiling_dollars: float
    usage: Usage = Usage()
    attempts: dict[int, Sum] = Field(default_factory=dict)
    calls: tuple[Call, ...] = ()

    @classmethod
    def of(cls, calls: Sequence[Call], ceiling: float) -> Self:
        """The account of these calls."""
        total = Sum.of(calls)
        numbers = sorted({call.attempt for call in calls})
        return cls(
            dollars=total.dollars,
            counted_dollars=_counted(calls),
            ceiling_dollars=ceiling,
            usage=total.usage,
            attempts={n: Sum.of([c for c in calls if c.attempt == n]) for n in numbers},
            calls=tuple(calls),
        )


class DayCost(Value):
    """All calls of one day, by their ids."""

    calls: dict[str, Call] = Field(default_factory=dict)

    @property
    def counted_dollars(self) -> float:
        """What the day's ceiling counts."""
        return _counted(list(self.calls.values()))

    @property
    def total(self) -> Sum:
        """The day's calls together."""
        return Sum.of(list(self.calls.values()))


def today(folder: Path, day: date | None = None) -> DayCost:
    """What was spent on a day, by default on the present one in UTC."""
    path = folder / f"{(day or datetime.now(UTC).date()).isoformat()}.json"
    try:
        return DayCost.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return DayCost()
    except ValidationError as error:
        raise CostCeilingReached(
            f"{path} cannot be read, so nobody knows what the day has cost; move it away to go on"
        ) from error


class Spending:
    """The account of one build: each of its calls is reserved, then settled or released."""

    def __init__(
        self,
        settings: Settings,
        build_id: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._build_id, self._now = build_id, now
        self._store, self._folder = ArtifactStore(settings.artifacts), settings.spending
        self._of_build, self._of_day = settings.claude_build_dollars, settings.claude_day_dollars
        self._prices: Mapping[str, Price] = settings.claude_prices

    def reserve(self, model: str, attempt: int, input_tokens: int, most_output: int) -> Call:
        """Set aside the most that a call can cost; CostCeilingReached if that is not left.

        A model without a known price is counted at the dearest price there is.
        """
        price = price_of(model, self._prices) or dearest(self._prices)
        call = Call(
            id=secrets.token_hex(6),
            build_id=self._build_id,
            attempt=attempt,
            model=model,
            at=self._now(),
            counted_dollars=_rounded(price.worst_case(input_tokens, most_output)),
        )
        with self._locked():
            day = today(self._folder, call.at.date())
            _refuse("CLAUDE_BUILD_DOLLARS", self._of_build, self.cost().counted_dollars, call)
            _refuse("CLAUDE_DAY_DOLLARS", self._of_day, day.counted_dollars, call)
            self._keep(call)
        return call

    def settle(self, call: Call, usage: Usage, outcome: str) -> Call:
        """Replace a reservation by what the call did cost; its dollars are None without a price."""
        own = price_of(call.model, self._prices)
        dollars = None if own is None else _rounded(own.dollars(usage))
        counted = dearest(self._prices).dollars(usage) if dollars is None else dollars
        settled = call.model_copy(
            update={
                "usage": usage,
                "outcome": outcome,
                "dollars": dollars,
                "counted_dollars": _rounded(counted),
            }
        )
        with self._locked():
            self._keep(settled)
        return settled

    def release(self, call: Call, outcome: str) -> None:
        """The call was refused before anything was answered: it cost nothing."""
        free = {"outcome": outcome, "dollars": 0.0, "counted_dollars": 0.0}
        with self._locked():
            self._keep(call.model_copy(update=free))

    def cost(self) -> BuildCost:
        """What the build has cost so far, reservations at their worst case."""
        kept = self._store.read_value(self._build_id, COST, BuildCost)
        return kept or BuildCost(ceiling_dollars=self._of_build)

    def _keep(self, call: Call) -> None:
        """The day first: a kill between the two files overcounts."""
        day = today(self._folder, call.at.date())
        calls = DayCost(calls={**day.calls, call.id: call})
        path = self._folder / f"{call.at.date().isoformat()}.json"
        write_atomically(path, calls.model_dump_json(indent=1).encode())
        mine = {one.id: one for one in self.cost().calls} | {call.id: call}
        cost = BuildCost.of(list(mine.values()), self._of_build)
        self._store.write_value(self._build_id, COST, cost)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Builds on this machine spend one after the other; the lock's file is never removed."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _refuse(setting: str, ceiling: float, counted: float, call: Call) -> None:
    if counted + call.counted_dollars > ceiling:
        raise CostCeilingReached(
            f"the next call of {call.model} could cost ${call.counted_dollars:.2f}, "
            f"${counted:.2f} of ${ceiling:.2f} are spent or set aside ({setting})"
        )


def _counted(calls: Sequence[Call]) -> float:
    return _rounded(sum(call.counted_dollars for call in calls))


def _rounded(dollars: float) -> float:
    return round(dollars, _CENT_FRACTION)
