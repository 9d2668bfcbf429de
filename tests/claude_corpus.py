"""`make corpus-claude`: the holes of every SPEC of a folder, through the loop and its gates.

The model is a stand-in that writes from signatures alone, so the figures are about the loop: how
many holes a model of good will gets through the gates, in how many attempts and calls.
"""

import sys
import tempfile
import time
from pathlib import Path

from pydantic import HttpUrl, SecretStr

from build_executor.errors import SpecRefused
from build_executor.generators.claude.asking import open_claude
from build_executor.generators.claude.earlier_work import Order, begin
from build_executor.generators.claude.loop import attempt
from build_executor.generators.filling import Filling
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.spec.derivation import derive_contract
from build_executor.spec.holes import holes_of
from build_executor.spending import Spending
from build_executor.workspace import open_workspace
from tests.messages_diligence import diligent
from tests.messages_server import MessagesServer

_MODEL = "claude-sonnet-5-5"


def main(folder: Path) -> None:
    """Print a line for each SPEC that has holes, and the sum."""
    filled = holes = 0
    with tempfile.TemporaryDirectory(prefix="bx-") as home:
        for path in sorted(folder.rglob("*.md")):
            found = _contract(path)
            if found is not None and holes_of(found[0]):
                filling = _fill(*found, Path(home))
                holes, filled = holes + len(filling.holes), filled + len(filling.written)
    _say(f"{filled} of {holes} holes filled")


def _contract(path: Path) -> tuple[Contract, str] | None:
    text = path.read_text(encoding="utf-8")
    try:
        return derive_contract(text), text
    except SpecRefused:
        return None


def _fill(contract: Contract, text: str, home: Path) -> Filling:
    started = time.monotonic()
    with MessagesServer(otherwise=diligent) as server:
        settings = Settings(
            build_executor_home=home,
            anthropic_base_url=HttpUrl(server.url),
            anthropic_api_key=SecretStr(server.key),
            claude_model=_MODEL,
        )
        build_id = contract.service
        workspace = open_workspace(build_id, contract.service, settings)
        order = Order(contract, text, workspace, settings)
        (filling, _), number = begin(order), 0
        while filling.ended is None:
            number += 1
            model = open_claude(settings, build_id)
            filling = attempt(order, filling, model, number)
    cost = Spending(settings, build_id).cost()
    _say(
        f"{contract.service:<32} {len(filling.written)}/{len(filling.holes)} holes, "
        f"{number} attempts, {len(cost.calls)} calls, ${cost.dollars or 0:.3f}, "
        f"{time.monotonic() - started:.0f} s"
    )
    for one in filling.rejected:
        _say(f"    {one.name}: {one}"[:300])
    return filling


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
