from build_executor.spec.derivation import derive_contract
from build_executor.spec.shapes import properties, required, resolved

SPEC = """# Votes

## API Endpoints

### POST /votes/update

Input: wallet, weight, old_votes, new_votes

### POST /votes/add

Input: wallet, weight, votes

## Models

```python
class VotesUpdateRequest(BaseModel):
    wallet: str
    weight: int
    old_votes: int
    new_votes: int

class VotesAddRequest(BaseModel):
    wallet: str
    weight: int
    votes: int
```
"""


def test_each_endpoint_takes_the_class_that_is_made_for_it() -> None:
    contract = derive_contract(SPEC)

    taken = {}
    for operation in contract.business:
        request = resolved(operation.request or {}, contract.components)
        taken[operation.path] = (set(properties(request)), set(required(request)))
    update, add = {"wallet", "weight", "old_votes", "new_votes"}, {"wallet", "weight", "votes"}
    assert taken == {"/votes/update": (update, update), "/votes/add": (add, add)}
