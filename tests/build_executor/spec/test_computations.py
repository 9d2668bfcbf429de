"""A verb with a number: what it does to another number is not guessed."""

import pytest

from build_executor.spec.derivation import derive_contract

DOCUMENT = """# till

Port: 8600

## API Endpoints

### POST /accounts
```json
// Request
{{"owner": "Ann"}}
// Response
{{"account_id": "acc-1001", "owner": "Ann", "balance": 0.0, "status": "active"}}
```

### GET /accounts/{{account_id}}
Reads one

### POST /accounts/{{account_id}}/{verb}
```json
// Request
{sent}
```
{answer}
"""


def rule_of(verb: str, sent: str, answer: str = "") -> str:
    text = DOCUMENT.format(verb=verb, sent=sent, answer=answer)
    operations = derive_contract(text).operations
    return next(o.rule for o in operations if o.path.endswith(verb))


@pytest.mark.parametrize("verb", ["deposit", "charge"])
def test_a_number_that_changes_another_is_not_guessed(verb: str) -> None:
    answer = '```json\n// Response\n{"account_id": "acc-1001", "balance": 5.0}\n```'

    assert rule_of(verb, '{"amount": 5.0}', answer) == "stub"


def test_a_verb_of_arithmetic_is_not_guessed_without_an_answer_either() -> None:
    assert rule_of("withdraw", '{"amount": 5.0}') == "stub"


def test_a_verb_that_answers_with_a_status_changes_the_status() -> None:
    answer = '```json\n// Response\n{"account_id": "acc-1001", "status": "frozen"}\n```'

    assert rule_of("freeze", '{"days": 5}', answer) == "transition"
    assert rule_of("freeze", '{"reason": "fraud"}') == "transition"
    assert rule_of("freeze", '{"days": 5}') == "transition"
