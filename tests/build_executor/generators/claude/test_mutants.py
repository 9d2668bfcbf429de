from build_executor.generators.claude.mutants import mutants
from tests import bank


def test_a_function_is_broken_in_each_way_that_changes_it() -> None:
    broken = dict(mutants(bank.GOOD_WITHDRAW))

    assert "balance >= 0" in broken["negated conditions"]
    assert "account.get('balance', 0.0) + body.amount" in broken["another calculation"]
    assert "balance < 1" in broken["numbers one more"]
    assert "replace(" not in broken["nothing written"]
    assert "type(body.amount)()" in broken["constant input"]


def test_what_does_not_change_a_function_is_no_mutant() -> None:
    plain = "def f(repository: Repository) -> str:\n    return 'x'\n"

    assert list(mutants(plain)) == []


def test_other_statements_and_operators_stay() -> None:
    text = (
        "def f(body: Body) -> bool:\n    print(body)\n    note()\n    body.name = 'x'\n"
        "    return True is not (2 | 1)\n"
    )

    broken = dict(mutants(text))

    assert "nothing written" not in broken
    assert "another calculation" not in broken
    assert "body.name = 'x'" in broken.get("constant input", text)
    assert "True is 2 | 1" in broken["negated conditions"]
