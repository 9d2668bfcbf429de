"""The same for documents with holes: what a person wrote into them is said by a stand-in model.

The compiler's code, the model's, and everything between the two is real; a test module names its
document and the functions.
"""

from pathlib import Path

import pytest

from build_executor.generation import put_in_place
from build_executor.generators.claude import loop
from build_executor.generators.claude.asking import Claude
from build_executor.generators.claude.earlier_work import Order, begin
from build_executor.generators.claude.faults import Endpoint
from build_executor.generators.filling import Filled
from build_executor.settings import Settings
from build_executor.spec.derivation import derive_contract
from build_executor.spending import Spending
from build_executor.workspace import open_workspace
from tests.messages_server import MessagesServer, writes

BUILD, MODEL = "filled", "claude-sonnet-5-5"


@pytest.fixture(scope="module")
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service whose holes are filled."""
    spec = request.module.SPEC.read_text(encoding="utf-8")
    contract = derive_contract(spec)
    settings = Settings(build_executor_home=tmp_path_factory.mktemp("home"))
    order = Order(contract, spec, open_workspace(BUILD, contract.service, settings), settings)
    with MessagesServer(otherwise=writes(request.module.FUNCTIONS)) as server:
        claude = Claude(Endpoint(server.url, server.key), (MODEL,), Spending(settings, BUILD))
        filling = loop.attempt(order, begin(order)[0], claude, 1)
    assert not filling.open, filling.rejected
    put_in_place(filling.settled(contract), order.workspace, Filled(filling))
    return order.workspace.source
