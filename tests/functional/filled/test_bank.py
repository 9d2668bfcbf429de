"""The bank, once somebody has written what moves money: what its document says, over HTTP."""

import httpx
import pytest

from tests import bank

SPEC = bank.SPEC
FUNCTIONS = bank.GOOD


def opened(api: httpx.Client) -> str:
    answer = api.post("/accounts", json={"owner": "Ann", "currency": "EUR"})
    assert answer.status_code == 201, answer.text
    return f"/accounts/{answer.json()['account_id']}"


def moved(api: httpx.Client, account: str, verb: str, amount: float) -> httpx.Response:
    return api.post(f"{account}/{verb}", json={"amount": amount})


def balance(api: httpx.Client, account: str) -> float:
    return float(api.get(f"{account}/balance").json()["balance"])


def test_what_is_paid_in_and_taken_out_is_the_balance(api: httpx.Client) -> None:
    account, other = opened(api), opened(api)

    answers = [moved(api, account, "deposit", 12.5), moved(api, account, "deposit", 7.5)]
    taken = moved(api, account, "withdraw", 2.5)

    assert [answer.json()["balance"] for answer in (*answers, taken)] == [12.5, 20.0, 17.5]
    assert account.endswith(taken.json()["account_id"])
    assert (balance(api, account), balance(api, other)) == (17.5, 0.0)
    assert api.get(account).json()["owner"] == "Ann"


def test_an_account_can_be_emptied_and_not_overdrawn(api: httpx.Client) -> None:
    account = opened(api)
    moved(api, account, "deposit", 5.0)

    refused, emptied = (moved(api, account, "withdraw", amount) for amount in (5.01, 5.0))

    assert (refused.status_code, emptied.status_code) == (409, 200)
    assert balance(api, account) == 0.0


@pytest.mark.parametrize("verb", ["deposit", "withdraw"])
def test_nobody_moves_money_of_an_account_that_is_not_there(api: httpx.Client, verb: str) -> None:
    assert moved(api, "/accounts/acc-0", verb, 1.0).status_code == 404


@pytest.mark.parametrize("amount", ["five", None, []])
def test_an_amount_is_a_number(api: httpx.Client, amount: object) -> None:
    account = opened(api)

    assert api.post(f"{account}/deposit", json={"amount": amount}).status_code == 422
    assert balance(api, account) == 0.0
