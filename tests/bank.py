"""Functions for the holes of the functional tests' bank: good ones, and ways to get them wrong."""

from pathlib import Path

SPEC = Path(__file__).parent / "functional" / "bank" / "SPEC.md"
DEPOSIT = "post_accounts_account_id_deposit"
WITHDRAW = "post_accounts_account_id_withdraw"
_HEAD = (
    "def post_accounts_account_id_{verb}(\n"
    "    repository: Repository, account_id: str, body: {body}\n"
    ") -> {answer}:\n"
)
DEPOSIT_HEAD = _HEAD.format(
    verb="deposit", body="DepositAccount", answer="PostAccountsAccountIdDepositResponse"
)
WITHDRAW_HEAD = _HEAD.format(
    verb="withdraw", body="WithdrawAccount", answer="PostAccountsAccountIdWithdrawResponse"
)

GOOD_DEPOSIT = (
    DEPOSIT_HEAD
    + '''    """Adds money to the balance."""
    with repository.transaction():
        account = repository.require("accounts", account_id, "account")
        balance = account.get("balance", 0.0) + body.amount
        repository.replace("accounts", account_id, {**account, "balance": balance}, "changed")
    return PostAccountsAccountIdDepositResponse(account_id=account_id, balance=balance)
'''
)
GOOD_WITHDRAW = (
    WITHDRAW_HEAD
    + '''    """Takes money from the balance."""
    with repository.transaction():
        account = repository.require("accounts", account_id, "account")
        balance = account.get("balance", 0.0) - body.amount
        if balance < 0:
            raise ConflictError("the balance is too low")
        repository.replace("accounts", account_id, {**account, "balance": balance}, "changed")
    return PostAccountsAccountIdWithdrawResponse(account_id=account_id, balance=balance)
'''
)
GOOD = {DEPOSIT: GOOD_DEPOSIT, WITHDRAW: GOOD_WITHDRAW}

ECHOING_DEPOSIT = (
    DEPOSIT_HEAD
    + '    """Says what the SPEC shows."""\n'
    + '    repository.require("accounts", account_id, "account")\n'
    + "    return PostAccountsAccountIdDepositResponse(account_id=account_id, balance=12.5)\n"
)
UNTYPED_DEPOSIT = (
    DEPOSIT_HEAD
    + '    """Answers with something else."""\n'
    + '    account = repository.require("accounts", account_id, "account")\n'
    + "    return account\n"
)

DEPOSIT_TEST = f"tests/extra/test_{DEPOSIT}.py"
WITHDRAW_TEST = f"tests/extra/test_{WITHDRAW}.py"
GOOD_TEST = '''"""Deposits."""

from fastapi.testclient import TestClient

from tests.examples import make_account


def test_deposits_add_up(client: TestClient) -> None:
    """Two deposits, one balance."""
    path = f"/accounts/{make_account(client)['account_id']}"

    client.post(f"{path}/deposit", json={"amount": 5.0})
    answer = client.post(f"{path}/deposit", json={"amount": 2.5})

    assert answer.json()["balance"] == 7.5
    assert client.get(path).json()["balance"] == 7.5
'''
BLIND_TEST = '''"""Withdrawals."""

from fastapi.testclient import TestClient


def test_nothing_is_looked_at(client: TestClient) -> None:
    """Passes whatever the service does."""
    assert client is not None
'''
