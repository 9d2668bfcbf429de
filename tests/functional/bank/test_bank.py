"""A bank: sums that nobody explains are not guessed."""

import httpx
import pytest


@pytest.mark.parametrize("verb", ["deposit", "withdraw"])
def test_what_moves_money_is_not_guessed(api: httpx.Client, verb: str) -> None:
    account = api.post("/accounts", json={"owner": "Ann", "currency": "EUR"}).json()
    path = f"/accounts/{account['account_id']}"

    answer = api.post(f"{path}/{verb}", json={"amount": 5.0})

    assert answer.status_code == 501
    assert answer.json()["spec_line"] in {21, 30}
    assert api.get(path).json() == account
