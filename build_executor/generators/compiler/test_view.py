"""What the templates of the tests need to know: only the contract, never the generated code."""

from build_executor.spec.contract import Contract


def tests_context(contract: Contract) -> dict[str, object]:
    """All values that the templates of the tests use."""
    return {"contract": contract, "service": contract.service}
