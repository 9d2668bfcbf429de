"""Claude as a `Model`: one question over as many calls as it takes.

Three kinds of going on are kept apart from the loop's attempts: another call because the transport
failed, another model because one is gone, and another turn because Claude waits for us.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from build_executor.claude_models import retirement
from build_executor.errors import CostCeilingReached, InvalidSettings, ModelUnavailable
from build_executor.generators.claude.answer import Answer
from build_executor.generators.claude.conversation import Conversation
from build_executor.generators.claude.faults import CallFailed, Endpoint, Fault
from build_executor.generators.claude.request import (
    Json,
    most_output,
    named_parameter,
    parameters,
)
from build_executor.generators.model import Hear, Outcome, Question, Reply, Usage, ignore
from build_executor.settings import Settings
from build_executor.spending import Call, Spending

if TYPE_CHECKING:
    from build_executor.generators.claude.client import Connection

_RETRIED = frozenset({Fault.BUSY, Fault.UNREACHABLE, Fault.CUT})
_BROKEN = {Fault.BUSY: Outcome.OVERLOADED, Fault.CUT: Outcome.CUT}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long and how often a question is asked before it is given up."""

    seconds: float = 600.0
    retries: int = 4
    first_wait: float = 0.5
    longest_wait: float = 30.0
    turns: int = 40

    def wait(self, retry: int, asked_for: float | None) -> float:
        """Seconds before the next call: as the server asked, but never longer than we would."""
        own = self.first_wait * 2**retry * random.uniform(0.75, 1.0)  # noqa: S311 - spreads calls, hides nothing
        return min(self.longest_wait, own if asked_for is None else asked_for)


def open_claude(settings: Settings, build_id: str) -> "Claude":
    """Claude with the configured key and models, on this build's account."""
    if settings.anthropic_api_key is None:
        raise InvalidSettings("ANTHROPIC_API_KEY is not set")
    endpoint = Endpoint(
        str(settings.anthropic_base_url).rstrip("/"), settings.anthropic_api_key.get_secret_value()
    )
    models = (settings.claude_model, *settings.claude_fallback_models)
    return Claude(endpoint, tuple(dict.fromkeys(models)), Spending(settings, build_id))


class Claude:
    """Asks the first of `models` that is there; what is spent goes to `spending`."""

    def __init__(
        self,
        endpoint: Endpoint,
        models: tuple[str, ...],
        spending: Spending,
        patience: Patience | None = None,
    ) -> None:
        self._endpoint, self._spending = endpoint, spending
        self._patience = patience or Patience()
        self._models = list(models)
        self._dropped: dict[str, frozenset[str]] = {}
        if models and (warning := retirement(models[0])):
            _log.warning("%s", warning)

    def ask(self, question: Question, hear: Hear = ignore) -> Reply:
        """One answer, as `Model` promises."""
        return asyncio.run(self._ask(question, hear))

    async def _ask(self, question: Question, hear: Hear) -> Reply:
        conversation = Conversation(question, hear)
        from build_executor.generators.claude.client import (  # noqa: PLC0415 - takes seconds, and most builds have nothing to ask
            Connection,
        )

        async with Connection(self._endpoint) as connection:
            try:
                async with asyncio.timeout(self._patience.seconds):
                    await self._converse(connection, conversation)
            except TimeoutError as error:
                detail = f"no end after {self._patience.seconds:g} s"
                if not conversation.has_writes:  # asking again would take as long again
                    raise ModelUnavailable(detail) from error
                conversation.ends(Outcome.TIMED_OUT, detail)
        return conversation.reply()

    async def _converse(self, connection: "Connection", conversation: Conversation) -> None:
        for _ in range(self._patience.turns):
            try:
                await self._one_turn(connection, conversation)
            except (CostCeilingReached, ModelUnavailable) as error:
                if not conversation.has_writes:
                    raise
                conversation.ends(Outcome.CUT, str(error))
            if not conversation.goes_on:
                return

    async def _one_turn(self, connection: "Connection", conversation: Conversation) -> None:
        """The next words, from the first model of the list that is still there."""
        gone: list[str] = []
        while self._models:
            try:
                return await self._from_model(self._models[0], connection, conversation)
            except CallFailed as failure:
                if failure.fault is Fault.TOO_LONG:
                    return conversation.ends(Outcome.TOO_LONG, failure.message)
                if failure.fault is not Fault.GONE:
                    raise ModelUnavailable(failure.message) from failure
                gone.append(failure.message)
                _log.warning("%s is gone: %s", self._models.pop(0), failure.message)
        raise ModelUnavailable(f"every model of the list is gone: {'; '.join(gone)}")

    async def _from_model(
        self, model: str, connection: "Connection", conversation: Conversation
    ) -> None:
        """Ask again while the transport fails, and once without each parameter not accepted."""
        retry = 0
        while True:
            try:
                return await self._call(model, connection, conversation)
            except CallFailed as failure:
                if self._drops_a_parameter(model, failure):
                    continue
                if failure.fault not in _RETRIED:
                    raise
                if conversation.has_news or retry >= self._patience.retries:
                    return self._give_up(failure, conversation)
                _log.info("asking again: %s", failure.message)
                await asyncio.sleep(self._patience.wait(retry, failure.wait))
                retry += 1

    def _give_up(self, failure: CallFailed, conversation: Conversation) -> None:
        """What broke off in mid-stream is an outcome; what never began is no model at all."""
        if failure.is_free or failure.fault not in _BROKEN:
            raise failure
        conversation.ends(_BROKEN[failure.fault], failure.message)

    def _drops_a_parameter(self, model: str, failure: CallFailed) -> bool:
        dropped = self._dropped.get(model, frozenset())
        name = named_parameter(failure.message) if failure.fault is Fault.REJECTED else None
        if name is None or name in dropped:
            return False
        _log.warning("%s does not take `%s`: %s", model, name, failure.message)
        self._dropped[model] = dropped | {name}
        return True

    async def _call(self, model: str, connection: "Connection", conversation: Conversation) -> None:
        dropped = self._dropped.get(model, frozenset())
        body = parameters(conversation.question, model, conversation.turns, dropped)
        tokens = await connection.count(body)
        attempt = conversation.question.attempt
        call = self._spending.reserve(model, attempt, tokens, most_output(model))
        account = _Account(self._spending, call, tokens, conversation)
        answer = Answer()
        try:
            await _listen(connection, body, answer, conversation)
        except CallFailed as failure:
            account.close(answer, failure.fault, is_free=failure.is_free)
            raise
        except BaseException:
            account.close(answer, "abandoned", is_free=False)
            raise
        account.close(answer, answer.outcome, is_free=False)
        if answer.outcome is Outcome.CUT and not answer.is_over:
            raise CallFailed(Fault.CUT, "the stream ended before its end", is_free=False)
        conversation.take(answer)


async def _listen(
    connection: "Connection", body: Json, answer: Answer, conversation: Conversation
) -> None:
    async for event in connection.events(body):
        answer.take(event)
        conversation.listen(answer)


@dataclass(frozen=True)
class _Account:
    """The account of one call, closed once whatever happens to it."""

    spending: Spending
    call: Call
    prompt_tokens: int
    conversation: Conversation

    def close(self, answer: Answer, outcome: str, *, is_free: bool) -> None:
        """A call that broke off before its first word is counted at its prompt."""
        self.conversation.model = answer.model or self.call.model
        if is_free:
            self.spending.release(self.call, outcome)
            return
        usage = answer.usage() if answer.has_begun else Usage(input_tokens=self.prompt_tokens)
        settled = self.spending.settle(self.call, usage, outcome)
        self.conversation.spends(settled.usage, settled.dollars)
        _log.info("%s: %s", settled.outcome, settled)
