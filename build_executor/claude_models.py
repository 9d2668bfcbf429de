"""What is known of Claude's models: their prices, and when they retire.

The table beside this module is dated; an operator's `CLAUDE_PRICES` goes before it. A model that
neither knows has no price: what it costs is then unknown, never nothing.
"""

import functools
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import Field

from build_executor.models import Usage, Value

_TABLE = Path(__file__).with_name("claude_models.json")
_MILLION = 1_000_000


class Rates(Value):
    """Dollars per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_write: float = Field(ge=0, description="kept for five minutes")
    cache_read: float = Field(ge=0)


class Price(Rates):
    """What a model costs; one that has dearer rates for long prompts says from where on."""

    long_from: int | None = None
    long: Rates | None = None

    def dollars(self, usage: Usage) -> float:
        """What this usage of one call costs."""
        rates = self._rates(usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens)
        return (
            usage.input_tokens * rates.input
            + usage.cache_write_tokens * rates.cache_write
            + usage.cache_read_tokens * rates.cache_read
            + usage.output_tokens * rates.output
        ) / _MILLION

    def worst_case(self, input_tokens: int, most_output: int) -> float:
        """The most a call can cost: all of its prompt written to the cache, all output used."""
        written = Usage(cache_write_tokens=input_tokens, output_tokens=most_output)
        plain = Usage(input_tokens=input_tokens, output_tokens=most_output)
        return max(self.dollars(written), self.dollars(plain))

    def _rates(self, prompt_tokens: int) -> Rates:
        is_long = self.long_from is not None and prompt_tokens > self.long_from
        return self.long if is_long and self.long is not None else self


class ClaudeModel(Price):
    """A model of the table."""

    takes_effort: bool = True
    most_output: int = 128_000
    retires_on: date | None = None
    replacement: str | None = None


class Table(Value):
    """The whole table, and the day on which it was right."""

    as_of: date
    source: str
    models: dict[str, ClaudeModel]


@functools.cache
def table() -> Table:
    """The table that comes with this package."""
    return Table.model_validate_json(_TABLE.read_bytes())


def known(name: str) -> ClaudeModel | None:
    """What the table says of a model; None if it does not know it."""
    return table().models.get(name)


def price_of(name: str, own_prices: Mapping[str, Price]) -> Price | None:
    """A model's price, the operator's before the table's; None if neither has one."""
    return own_prices.get(name) or known(name)


def dearest(own_prices: Mapping[str, Price]) -> Price:
    """The price that a ceiling assumes for a model that has none: the highest there is."""
    everything = [*table().models.values(), *own_prices.values()]
    return max(everything, key=lambda price: (price.output, price.input))


def retirement(name: str) -> str | None:
    """A warning in a sentence if the model is going to retire, or has; None otherwise."""
    model = known(name)
    if model is None or model.retires_on is None:
        return None
    instead = f"; set CLAUDE_MODEL, for example to {model.replacement}" if model.replacement else ""
    return f"{name} retires on {model.retires_on.isoformat()}{instead}"
