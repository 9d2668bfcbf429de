"""Signing in to the examined service, where its contract has accounts."""

from build_executor.checks.sampling import resolved, sample_body
from build_executor.errors import NoAnswer
from build_executor.http_client import HttpClient
from build_executor.spec.contract import Contract, Operation

ACCOUNT_RULES = frozenset({"login", "logout", "me"})
_NOBODY_ELSE = 7_000_001


def sign_in(client: HttpClient, contract: Contract) -> str | None:
    """Make an account and use its token from now on; what went wrong, if anything did."""
    sign_up, entry = _operation(contract, "create"), _operation(contract, "login")
    if sign_up is None or entry is None:
        return None
    body = sample_body(sign_up, contract, _NOBODY_ELSE)
    wanted = resolved(entry.request or {}, contract).get("properties")
    names = wanted if isinstance(wanted, dict) else {}
    known = {n: v for n, v in body.items() if n in names} if isinstance(body, dict) else {}
    try:
        made = client.call(sign_up.method, sign_up.path, body)
        answer = client.call(entry.method, entry.path, known)
    except NoAnswer as error:
        return str(error)
    token = next((a.field for a in entry.effect.answers if a.source == "token"), "token")
    value = answer.fields.get(token)
    if not isinstance(value, str):
        return f"signing up answered {made.status}, signing in {answer.status}, with no token"
    client.authorize(value)
    return None


def _operation(contract: Contract, rule: str) -> Operation | None:
    auth = contract.auth
    own = (o for o in contract.business if auth and o.resource == auth.resource and o.rule == rule)
    return next(own, None)
