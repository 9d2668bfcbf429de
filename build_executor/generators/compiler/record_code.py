"""What the bodies of all rules have in common: code that finds a record and answers with it."""

from collections.abc import Iterator

from build_executor.generators.compiler.expressions import Tree, assignments, dictionary, words
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import Contract, Operation, Reference, Resource, Shape
from build_executor.spec.naming import variable
from build_executor.spec.shapes import properties, resolved

# A body as the dict that is kept; `more` are further arguments.
DUMPED_BODY = 'body.model_dump(mode="json", by_alias=True{more})'


class RecordCode:
    """Code that finds, reads and answers with the records of one contract.

    `answer`, wherever it is wanted, is the annotation of what the operation returns.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def resource(self, operation: Operation) -> Resource:
        """The kind of record that the operation is about; ValueError if it names none."""
        resource = self.contract.resource(operation.resource)
        if resource is None:
            raise ValueError(f"{operation.label} has the rule {operation.rule} but no resource")
        return resource

    def identity(self, operation: Operation) -> str:
        """The variable that holds the record's id."""
        return variable(operation.effect.id_parameter or "record_id")

    def required(self, operation: Operation, resource: Resource) -> str:
        """The record that the operation is about, or the error that there is none."""
        arguments = [text_literal(resource.name), self.identity(operation)]
        arguments.append(text_literal(words(resource.singular)))
        owners = self.own(operation)
        owners.update({p.field: variable(p.field) for p in operation.effect.parents})
        if owners:
            arguments.append(dictionary(dict(owners)))
        return f"repository.require({', '.join(arguments)})"

    def parents(self, operation: Operation) -> Iterator[str]:
        """Refuses what lies under a record that does not exist, or is not the caller's."""
        for parent in operation.effect.parents:
            code = self.exists(parent, variable(parent.field))
            if self._makers_are_owners(parent.resource):
                owner = dictionary(self.own(operation))
                code = f"{code[:-1]}, {owner})" if owner != "{}" else code
            yield code

    def _makers_are_owners(self, resource: str) -> bool:
        own = [o for o in self.contract.operations if o.resource == resource]
        return any(o.rule == "create" and o.owned for o in own)

    def own(self, operation: Operation) -> Tree:
        """The restriction to what the caller made."""
        auth = self.contract.auth
        return (
            {"_owner": f"user[{text_literal(auth.id_field)}]"} if auth and operation.owned else {}
        )

    def exists(self, reference: Reference, code: str) -> str:
        """The record that a reference points to, or the error that there is none."""
        target = self.contract.resource(reference.resource)
        noun = words(target.singular if target else reference.resource)
        return (
            f"repository.require({text_literal(reference.resource)}, {code}, {text_literal(noun)})"
        )

    def request(self, operation: Operation) -> Shape:
        """The shape of the operation's body."""
        return resolved(operation.request or {}, self.contract.components)

    def sent(self, operation: Operation) -> set[str]:
        """The names of the fields that a body may have."""
        return set(properties(self.request(operation)))

    def dumped(self, operation: Operation, more: str) -> str:
        """The body as a dict: of its class, or as it came where no class describes it."""
        shape = self.request(operation)
        is_free = not properties(shape) and not shape.keys() & {"anyOf", "oneOf"}
        return "dict(body)" if is_free else DUMPED_BODY.format(more=more)

    def answer(self, operation: Operation, answer: str) -> str:
        """The statement that answers with the record."""
        effect = operation.effect
        beside = assignments(effect.answers, self.contract.resource(operation.resource))
        if effect.wraps is not None:
            return f"return {checked(answer, dictionary({effect.wraps: 'record', **beside}))}"
        if beside:
            return f"return {checked(answer, dictionary(dict(beside), 'record'))}"
        if answer == "dict[str, Any]":
            return f"return {self.public(operation)}"
        return f"return {checked(answer, 'record')}"

    def public(self, operation: Operation) -> str:
        """The record where no class says what it shows: all but secrets and the owner."""
        resource = self.contract.resource(operation.resource)
        hidden = [*(resource.secret if resource else ()), *(["_owner"] if operation.owned else [])]
        if not hidden:
            return "record"
        kept = f"name not in {literal([*hidden])}"
        return f"{{name: value for name, value in record.items() if {kept}}}"


def checked(answer: str, code: str) -> str:
    """The value as the class that is answered; the framework checks what is no single class."""
    if answer.isidentifier():
        return f"{answer}.model_validate({code})"
    return code if answer == "dict[str, Any]" else f"cast({text_literal(answer)}, {code})"
