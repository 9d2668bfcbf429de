"""What a build's holes are going to cost, said before anybody is asked.

The prompt is the one that the first attempt sends, at three characters a token, which is rather
many; what a function takes with its thoughts and its tests is a rule of thumb.
"""

import json
from collections.abc import Mapping

from pydantic import Field

from build_executor.claude_models import Price, price_of
from build_executor.generators.claude.holes import find_holes
from build_executor.generators.claude.questions import LAST_ATTEMPT, questions, stable_part
from build_executor.generators.claude.request import most_output, parameters
from build_executor.generators.filling import Filling
from build_executor.models import Usage, Value
from build_executor.spec.contract import Contract

_CHARACTERS_PER_TOKEN = 3
_TOKENS_PER_FUNCTION = 4_000


class Estimate(Value):
    """Dollars are None for a model without a known price."""

    model: str
    holes: tuple[str, ...]
    prompt_tokens: int = 0
    one_attempt: float | None = Field(default=0.0, description="if all is accepted at once")
    all_attempts: float | None = Field(default=0.0, description="if nothing is until the last")
    set_aside: float | None = Field(default=0.0, description="for the first call, at its worst")

    def __str__(self) -> str:
        """For people."""
        if not self.holes:
            return "nothing to ask: the compiler leaves no hole, so the build costs nothing"
        noun = "function" if len(self.holes) == 1 else "functions"
        head = f"{len(self.holes)} {noun} to write: {', '.join(self.holes)}"
        if self.one_attempt is None or self.all_attempts is None:
            return f"{head}\n{self.model}: no price is known (CLAUDE_PRICES)"
        return (
            f"{head}\n{self.model}, {self.prompt_tokens} tokens of prompt: "
            f"about ${self.one_attempt:.2f} if the first attempt is accepted, "
            f"about ${self.all_attempts:.2f} if it takes {LAST_ATTEMPT}; "
            f"${self.set_aside:.2f} are set aside for the first call"
        )


def estimate(
    contract: Contract, spec: str, model: str, own_prices: Mapping[str, Price]
) -> Estimate:
    """What filling the holes of this contract is going to cost with this model."""
    unfilled = find_holes(contract, spec)
    holes = {hole.name: hole.label for hole in unfilled.holes}
    if not holes:
        return Estimate(model=model, holes=())
    filling = Filling(contract_digest=contract.digest, holes=holes)
    question = next(questions(unfilled, stable_part(unfilled, spec), filling, attempt=1))
    tokens = len(json.dumps(parameters(question, model))) // _CHARACTERS_PER_TOKEN
    costs = _costs(price_of(model, own_prices), model, tokens, len(holes))
    return Estimate(
        model=model,
        holes=tuple(holes.values()),
        prompt_tokens=tokens,
        one_attempt=costs[0],
        all_attempts=costs[1],
        set_aside=costs[2],
    )


def _costs(
    price: Price | None, model: str, tokens: int, holes: int
) -> tuple[float, float, float] | tuple[None, None, None]:
    """Once with the prompt written to the cache; again, then hole by hole, with it read."""
    if price is None:
        return None, None, None
    output = holes * _TOKENS_PER_FUNCTION
    first = price.dollars(Usage(cache_write_tokens=tokens, output_tokens=output))
    again = price.dollars(Usage(cache_read_tokens=tokens, output_tokens=output))
    reread = price.dollars(Usage(cache_read_tokens=tokens)) * (holes - 1)
    worst = price.worst_case(tokens, most_output(model))
    return first, first + 2 * again + reread, worst
