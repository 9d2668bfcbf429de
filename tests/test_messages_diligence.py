import ast
from pathlib import Path

from build_executor.generators.claude.code_rules import function_findings
from build_executor.generators.claude.holes import find_holes
from build_executor.generators.claude.questions import questions, stable_part
from build_executor.generators.claude.request import parameters
from build_executor.generators.filling import Filling
from build_executor.spec.derivation import derive_contract
from tests.messages_diligence import diligent
from tests.messages_server import Says, ToolCall

TEXT = (Path(__file__).parents[1] / "examples" / "shift-planner" / "SPEC.md").read_text()


def test_each_function_is_written_with_its_signature_and_within_the_rules() -> None:
    contract = derive_contract(TEXT)
    unfilled = find_holes(contract, TEXT)
    holes = {hole.name: hole for hole in unfilled.holes}
    filling = Filling(contract_digest=contract.digest, holes={name: name for name in holes})
    question = next(questions(unfilled, stable_part(unfilled, TEXT), filling, attempt=1))

    answer = diligent(parameters(question, "claude-sonnet-5-5"))

    assert isinstance(answer, Says)
    calls = [block for block in answer.blocks if isinstance(block, ToolCall)]
    written = {call.input["name"]: call.input["source"] for call in calls}
    assert written.keys() == holes.keys()
    for name, source in written.items():
        assert ast.parse(source)
        assert function_findings(source, holes[name].skeleton, name) == ()
