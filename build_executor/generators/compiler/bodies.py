"""The statements of each operation's function, by its rule."""

import re
from collections.abc import Callable, Iterator
from typing import cast

from build_executor.generators.compiler.expressions import (
    Tree,
    add_nested,
    assigned,
    assignments,
    attribute,
    counters,
    dictionary,
    parameter_code,
    restrictions,
    words,
)
from build_executor.generators.compiler.text import literal, text_literal
from build_executor.spec.contract import (
    Auth,
    Contract,
    Effect,
    Operation,
    Reference,
    Resource,
    Shape,
)
from build_executor.spec.naming import variable
from build_executor.spec.shapes import properties, required, resolved

_NOW = "timestamp()"
_DUMP = 'body.model_dump(mode="json", by_alias=True{more})'


class Writer:
    """Writes the functions of one contract; `answer` is what an operation returns."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def body(self, operation: Operation, answer: str) -> list[str]:
        """The statements of the operation's function."""
        lines = list(_RULES.get(operation.rule, Writer.stub)(self, operation, answer))
        if sum(line.count(_NOW) for line in lines) > 1:
            return [f"now = {_NOW}", *(line.replace(_NOW, "now") for line in lines)]
        return lines

    def stub(self, operation: Operation, _answer: str) -> Iterator[str]:
        """Says that it is not implemented, and where the SPEC names it."""
        detail = f"{operation.label} is not implemented: nothing says what it does"
        line = f"spec_line={operation.spec_line}"
        yield f"raise NotImplementedYetError({text_literal(detail)}, {line})"

    def information(self, _operation: Operation, _answer: str) -> Iterator[str]:
        """Says what the service is."""
        endpoints = [operation.label for operation in self.contract.operations]
        members: Tree = {
            "service": literal(self.contract.service),
            "version": literal(self.contract.version),
            "description": literal(self.contract.description),
            "endpoints": literal(list(endpoints)),
        }
        yield f"return {dictionary(members)}"

    def create(self, operation: Operation, answer: str) -> Iterator[str]:
        """Keeps a new record."""
        resource = self._resource(operation)
        yield from self._parents(operation)
        has_body = operation.request is not None
        if has_body:
            more = ", exclude_none=True" if self.contract.declared else ""
            yield f"sent = {self._dumped(operation, more)}"
            yield from self._repeated(operation, resource, answer)
            yield from self._references(operation)
        yield from self._distinct(operation, resource)
        yield from self._hidden(operation, resource)
        yield f"record_id = {self._new_id(operation, resource)}"
        fields: Tree = {resource.id_field: "record_id"}
        fields.update(self._assigned(operation, resource))
        fields.update(self._own(operation))
        yield f"record: Record = {dictionary(fields, *(['sent'] if has_body else []))}"
        yield f"repository.add({text_literal(resource.name)}, record_id, record)"
        if has_body and operation.effect.idempotent:
            yield "repository.remember(key, asked, record_id)"
        yield self._answer(operation, answer)

    def _repeated(self, operation: Operation, resource: Resource, answer: str) -> Iterator[str]:
        """The same request with the same key again: the record that the first one made."""
        if not operation.effect.idempotent:
            return
        auth, scope = self.contract.auth, text_literal(f"{operation.name} ")
        if auth is not None and operation.owned:
            scope += f" + str(user[{text_literal(auth.id_field)}]) + ' '"
        yield f"key = idempotency_key and {scope} + idempotency_key"
        yield "asked = dict(sent)"
        yield "record_id = repository.recalled(key, asked)"
        yield "if record_id is not None:"
        yield f"    known = {self._known(resource)}"
        yield "    " + re.sub(r"\brecord\b", "known", self._answer(operation, answer))

    @staticmethod
    def _known(resource: Resource) -> str:
        name, noun = text_literal(resource.name), text_literal(words(resource.singular))
        return f"repository.require({name}, record_id, {noun})"

    def batch(self, operation: Operation, answer: str) -> Iterator[str]:
        """Makes one record after the other; if one is refused, there are none."""
        effect = operation.effect
        create = next(
            o
            for o in self.contract.operations
            if o.resource == operation.resource and o.rule == "create"
        )
        more = ["None"] if create.effect.idempotent else []
        more += ["user"] if operation.owned or effect.assignments else []
        call = f"{create.name}({', '.join(['repository', 'item', *more])})"
        yield "with repository.transaction():"
        yield f"    made = [{call} for item in body.{attribute(str(effect.wraps))}]"
        members: Tree = {
            a.field: "len(made)" if a.source == "count" else literal(a.value)
            for a in effect.answers
        }
        if effect.collection is not None:
            members[effect.collection] = "made"
        yield f"return {answer}.model_validate({dictionary(members)})" if members else "return made"

    def _distinct(self, operation: Operation, resource: Resource) -> Iterator[str]:
        """Refuses a value that another record has where no two may share it."""
        for name in resource.unique:
            if name in self._sent(operation):
                arguments = f"{text_literal(resource.name)}, {text_literal(name)}"
                value = f"sent.get({text_literal(name)})"
                more = ", status=400" if _says_400(operation, self.contract) else ""
                yield f"repository.refuse_duplicate({arguments}, {value}{more})"

    def _hidden(self, operation: Operation, resource: Resource) -> Iterator[str]:
        """Secrets are kept as hashes only."""
        for name in resource.secret:
            if name in self._sent(operation):
                key = text_literal(name)
                yield f"sent[{key}] = hash_secret(str(sent[{key}]))"

    def _assigned(self, operation: Operation, resource: Resource) -> dict[str, str]:
        """The stored values, with the caller's where the SPEC names an owner."""
        found = assignments(operation.effect.assignments, resource)
        auth = self.contract.auth
        for item in operation.effect.assignments:
            if item.source == "user" and auth is not None:
                field = auth.id_field if item.value == "id" else auth.login_field
                found[item.field] = f"user[{text_literal(field)}]" if operation.secured else "None"
        return found

    def login(self, operation: Operation, answer: str) -> Iterator[str]:
        """Gives a token to whoever knows the password."""
        auth = cast("Auth", self.contract.auth)
        login, password = text_literal(auth.login_field), text_literal(auth.password_field)
        yield f"sent = {_DUMP.format(more='')}"
        yield f"known = {{{login}: sent[{login}]}}"
        name = text_literal(auth.resource)
        yield f"record = authenticate(repository, {name}, known, str(sent[{password}]))"
        yield f"record_id = record[{text_literal(auth.id_field)}]"
        yield self._answer(operation, answer)

    def logout(self, operation: Operation, answer: str) -> Iterator[str]:
        """Makes all tokens of the caller worthless."""
        key = text_literal(cast("Auth", self.contract.auth).id_field)
        yield f"revoke_tokens(repository, user[{key}])"
        if answer != "None":
            yield from self.me(operation, answer)

    def me(self, operation: Operation, answer: str) -> Iterator[str]:
        """The caller's own account."""
        yield self._answer(operation, answer).replace("record", "user")

    def read(self, operation: Operation, answer: str) -> Iterator[str]:
        """Finds a record."""
        resource = self._resource(operation)
        yield f"record = {self._required(operation, resource)}"
        yield self._answer(operation, answer)

    def field(self, operation: Operation, answer: str) -> Iterator[str]:
        """Answers with one field of a record."""
        resource = self._resource(operation)
        yield f"record = {self._required(operation, resource)}"
        name = next((n for n in properties(operation.response) if n != resource.id_field), "")
        members: Tree = {
            resource.id_field: f"record[{text_literal(resource.id_field)}]",
            name: f"record.get({text_literal(name)})",
        }
        yield f"return {_checked(answer, dictionary(members))}"

    def update(self, operation: Operation, answer: str) -> Iterator[str]:
        """Changes the fields that were sent."""
        more = ", exclude_unset=True, exclude_none=True"
        yield from self._changed(operation, answer, more, "updated")

    def replace(self, operation: Operation, answer: str) -> Iterator[str]:
        """Sets all fields that a caller may set; makes the record where nothing else does."""
        resource = self._resource(operation)
        creators = [o for o in self.contract.operations if o.resource == resource.name]
        if any(o.rule == "create" for o in creators) or operation.effect.id_parameter is None:
            more = ", exclude_none=True" if self.contract.declared else ""
            yield from self._changed(operation, answer, more, "updated")
        else:
            yield from self._put(operation, answer)

    def _put(self, operation: Operation, answer: str) -> Iterator[str]:
        """Makes the record or replaces it; somebody else's is not there for the caller."""
        resource = self._resource(operation)
        identity = self._identity(operation)
        name, noun = text_literal(resource.name), text_literal(resource.id_field)
        yield "with repository.transaction():"
        yield f"    known = repository.get({name}, {identity})"
        if operation.owned:
            yield "    if known is not None:"
            yield f"        {self._required(operation, resource)}"
        yield f"    record: Record = {self._put_record(operation, resource)}"
        yield f"    record[{noun}] = {identity}"
        yield "    if known is None:"
        yield f"        repository.add({name}, {identity}, record)"
        yield "    else:"
        yield f'        repository.replace({name}, {identity}, record, "updated")'
        yield self._answer(operation, answer)

    def _put_record(self, operation: Operation, resource: Resource) -> str:
        more = ", exclude_none=True" if self.contract.declared else ""
        sent = self._dumped(operation, more) if operation.request is not None else "{}"
        changes: Tree = {**assignments(operation.effect.assignments, resource)}
        changes.update(self._own(operation))
        return dictionary(changes, "(known or {})", sent)

    def delete(self, operation: Operation, answer: str) -> Iterator[str]:
        """Forgets a record, or marks it where the SPEC keeps it."""
        resource = self._resource(operation)
        name, identity = text_literal(resource.name), self._identity(operation)
        if operation.effect.target is not None and resource.status_field is not None:
            yield from self._marked(operation, resource)
            yield self._answer(operation, answer)
            return
        yield "with repository.transaction():"
        binding = "record = " if answer != "None" else ""
        yield f"    {binding}{self._required(operation, resource)}"
        yield f"    repository.remove({name}, {identity})"
        if answer != "None":
            yield self._answer(operation, answer)

    def _marked(self, operation: Operation, resource: Resource) -> Iterator[str]:
        name, identity = text_literal(resource.name), self._identity(operation)
        target = literal(operation.effect.target)
        changes: Tree = {str(resource.status_field): target}
        changes.update(assignments(operation.effect.assignments, resource))
        yield "with repository.transaction():"
        yield f"    record = {self._required(operation, resource)}"
        yield f"    record |= {dictionary(changes)}"
        yield f"    repository.replace({name}, {identity}, record, {target})"

    def transition(self, operation: Operation, answer: str) -> Iterator[str]:
        """Changes a record's state, unless its present state forbids it."""
        resource, effect = self._resource(operation), operation.effect
        name, identity = text_literal(resource.name), self._identity(operation)
        yield "with repository.transaction():"
        yield f"    record = {self._required(operation, resource)}"
        yield from self._guard(resource, effect)
        if operation.request is not None:
            yield f"    sent = {self._dumped(operation, ', exclude_unset=True')}"
        yield f"    record |= {self._changes(operation, resource)}"
        yield f"    repository.replace({name}, {identity}, record, {self._action(operation)})"
        yield self._answer(operation, answer)

    def _guard(self, resource: Resource, effect: Effect) -> Iterator[str]:
        field = resource.status_field
        changed = {item.field for item in effect.assignments}
        if field is None or field not in changed:
            return
        if effect.allowed_from:
            states = literal(list(effect.allowed_from))
            yield f"    require_state(record, {text_literal(field)}, {states})"
        else:
            own = [*_own_target(resource, effect), *effect.refused_from]
            refused = list(dict.fromkeys([*resource.terminal, *own]))
            if refused:
                yield f"    refuse_states(record, {text_literal(field)}, {literal(list(refused))})"

    def _changes(self, operation: Operation, resource: Resource) -> str:
        effect = operation.effect
        fixed: Tree = {}
        copied = {item.field: item.value for item in effect.assignments if item.source == "body"}
        for item in effect.assignments:
            if item.source != "body":
                fixed[item.field] = assigned(item, resource)
            elif item.value != item.field:
                fixed[item.field] = f"sent[{text_literal(str(item.value))}]"
        if effect.decision and resource.status_field and effect.rejected is not None:
            chosen = f"sent.get({text_literal(effect.decision)}, True)"
            accepted = fixed.get(resource.status_field, literal(effect.target))
            fixed[resource.status_field] = f"{accepted} if {chosen} else {literal(effect.rejected)}"
        return dictionary(fixed, *(["sent"] if copied else []))

    @staticmethod
    def _action(operation: Operation) -> str:
        target = operation.effect.target
        return literal(target) if isinstance(target, str) else literal("updated")

    def list(self, operation: Operation, answer: str) -> Iterator[str]:
        """Finds the records that a query selects."""
        resource, effect = self._resource(operation), operation.effect
        yield from self._parents(operation)
        yield f"page = repository.find({self._query(operation, resource)})"
        if effect.collection is None:
            item = answer.removeprefix("list[").removesuffix("]")
            is_plain = item == "dict[str, Any]"
            code = self._public(operation) if is_plain else _checked(item, "record")
            yield f"return [{code} for record in page.records]"
            return
        within = restrictions(operation, "parent")
        within.update({name: str(code) for name, code in self._own(operation).items()})
        members: Tree = {effect.collection: "page.records"}
        members.update(counters(effect.counters, within, matching="page.total"))
        add_nested(members, self._echoes(operation))
        yield f"return {_checked(answer, dictionary(members))}"

    def _echoes(self, operation: Operation) -> dict[str, str]:
        echoes = {}
        for item in operation.effect.answers:
            is_echo = item.source == "parameter"
            code = f"query.{attribute(str(item.value))}" if is_echo else assigned(item, None)
            echoes[item.field] = code
        return echoes

    def _query(self, operation: Operation, resource: Resource) -> str:
        parts = [text_literal(resource.name)]
        equals = restrictions(operation, "parent") | restrictions(operation, "filter")
        equals.update({name: str(code) for name, code in self._own(operation).items()})
        for word, members in (
            ("equals", equals),
            ("minimum", restrictions(operation, "minimum")),
            ("maximum", restrictions(operation, "maximum")),
        ):
            if members:
                parts.append(f"{word}={dictionary(dict(members))}")
        for word in ("search", "sort"):
            code = parameter_code(operation, word)
            if code:
                parts.append(f"{word}={code}")
        parts.extend(self._order(operation))
        return f"Query({', '.join(parts)})"

    @staticmethod
    def _order(operation: Operation) -> Iterator[str]:
        order, limit = parameter_code(operation, "order"), parameter_code(operation, "limit")
        if order:
            yield f'descending={order} == "desc"'
        elif operation.effect.newest_first:
            yield "descending=True"
        yield f"limit={limit or 1000}"
        offset, page = parameter_code(operation, "offset"), parameter_code(operation, "page")
        if offset:
            yield f"offset={offset}"
        elif page and limit:
            yield f"offset=({page} - 1) * {limit}"

    def counters(self, operation: Operation, answer: str) -> Iterator[str]:
        """Counts records."""
        effect = operation.effect
        resource = self.contract.resource(operation.resource)
        within: dict[str, str] = {}
        if effect.id_parameter is not None and resource is not None:
            yield self._required(operation, resource)
        members: Tree = dict(counters(effect.counters, within))
        add_nested(members, assignments(effect.answers, resource))
        yield f"return {_checked(answer, dictionary(members))}"

    def _changed(self, operation: Operation, answer: str, more: str, action: str) -> Iterator[str]:
        resource = self._resource(operation)
        name, identity = text_literal(resource.name), self._identity(operation)
        yield "with repository.transaction():"
        yield f"    record = {self._required(operation, resource)}"
        if operation.request is not None:
            yield f"    sent = {self._dumped(operation, more)}"
            yield from self._emptied(operation)
            yield from self._still_unique(operation, resource, identity)
            if operation.rule == "replace" and self.contract.declared:
                replaced = sorted(self._sent(operation) - set(self._fixed(resource, operation)))
                kept = f"name not in {literal([*replaced])}"
                yield f"    record = {{name: record[name] for name in record if {kept}}}"
        spread = ["sent"] if operation.request is not None else []
        changes: Tree = {**self._fixed(resource, operation)}
        changes.update(assignments(operation.effect.assignments, resource))
        if spread or changes:
            yield f"    record |= {dictionary(changes, *spread)}"
        yield f"    repository.replace({name}, {identity}, record, {literal(action)})"
        yield self._answer(operation, answer)

    def _emptied(self, operation: Operation) -> Iterator[str]:
        """A null that a document allows empties the field; another one means nothing."""
        members = properties(self._request(operation)) if self.contract.declared else {}
        names = [name for name, shape in members.items() if _allows_null(shape)]
        names = [name for name in names if attribute(name) == name]
        if names and operation.rule == "update":
            known = "{" + ", ".join(text_literal(name) for name in names) + "}"
            yield f"    sent |= dict.fromkeys((body.model_fields_set & {known}) - sent.keys())"

    def _fixed(self, resource: Resource, operation: Operation) -> Tree:
        """A body may not change the identity of its record."""
        names = {resource.id_field, *(parent.field for parent in resource.parents)}
        kept = [name for name in sorted(names) if name in self._sent(operation)]
        return {name: f"record[{text_literal(name)}]" for name in kept}

    def _still_unique(
        self, operation: Operation, resource: Resource, identity: str
    ) -> Iterator[str]:
        for name in resource.unique:
            if name in self._sent(operation):
                key = text_literal(name)
                value = f"sent.get({key})"
                yield (
                    f"    repository.refuse_duplicate("
                    f"{text_literal(resource.name)}, {key}, {value}, {identity})"
                )

    def _answer(self, operation: Operation, answer: str) -> str:
        effect = operation.effect
        beside = assignments(effect.answers, self.contract.resource(operation.resource))
        if effect.wraps is not None:
            return f"return {_checked(answer, dictionary({effect.wraps: 'record', **beside}))}"
        if beside:
            return f"return {_checked(answer, dictionary(dict(beside), 'record'))}"
        if answer == "dict[str, Any]":
            return f"return {self._public(operation)}"
        return f"return {_checked(answer, 'record')}"

    def _public(self, operation: Operation) -> str:
        """The record where no class says what it shows: all but secrets and the owner."""
        resource = self.contract.resource(operation.resource)
        hidden = [*(resource.secret if resource else ()), *(["_owner"] if operation.owned else [])]
        if not hidden:
            return "record"
        kept = f"name not in {literal([*hidden])}"
        return f"{{name: value for name, value in record.items() if {kept}}}"

    def _dumped(self, operation: Operation, more: str) -> str:
        """The body as a dict: of its class, or as it came where no class describes it."""
        shape = self._request(operation)
        is_free = not properties(shape) and not shape.keys() & {"anyOf", "oneOf"}
        return "dict(body)" if is_free else _DUMP.format(more=more)

    def _resource(self, operation: Operation) -> Resource:
        resource = self.contract.resource(operation.resource)
        if resource is None:
            raise ValueError(f"{operation.label} has the rule {operation.rule} but no resource")
        return resource

    def _identity(self, operation: Operation) -> str:
        return variable(operation.effect.id_parameter or "record_id")

    def _required(self, operation: Operation, resource: Resource) -> str:
        arguments = [text_literal(resource.name), self._identity(operation)]
        arguments.append(text_literal(words(resource.singular)))
        owners = self._own(operation)
        owners.update({p.field: variable(p.field) for p in operation.effect.parents})
        if owners:
            arguments.append(dictionary(dict(owners)))
        return f"repository.require({', '.join(arguments)})"

    def _parents(self, operation: Operation) -> Iterator[str]:
        for parent in operation.effect.parents:
            code = self._exists(parent, variable(parent.field))
            if self._makers_are_owners(parent.resource):
                owner = dictionary(self._own(operation))
                code = f"{code[:-1]}, {owner})" if owner != "{}" else code
            yield code

    def _makers_are_owners(self, resource: str) -> bool:
        own = [o for o in self.contract.operations if o.resource == resource]
        return any(o.rule == "create" and o.owned for o in own)

    def _own(self, operation: Operation) -> Tree:
        """The restriction to what the caller made."""
        auth = self.contract.auth
        return (
            {"_owner": f"user[{text_literal(auth.id_field)}]"} if auth and operation.owned else {}
        )

    def _exists(self, reference: Reference, code: str) -> str:
        target = self.contract.resource(reference.resource)
        noun = words(target.singular if target else reference.resource)
        return (
            f"repository.require({text_literal(reference.resource)}, {code}, {text_literal(noun)})"
        )

    def _references(self, operation: Operation) -> Iterator[str]:
        needed = required(self._request(operation))
        for reference in operation.effect.references:
            key = text_literal(reference.field)
            code = f"sent[{key}]"
            if reference.field in needed:
                yield self._exists(reference, code)
            else:
                yield f"if sent.get({key}) is not None:"
                yield f"    {self._exists(reference, code)}"

    def _request(self, operation: Operation) -> Shape:
        return resolved(operation.request or {}, self.contract.components)

    def _sent(self, operation: Operation) -> set[str]:
        return set(properties(self._request(operation)))

    def _new_id(self, operation: Operation, resource: Resource) -> str:
        if operation.effect.id_parameter is not None:
            return variable(operation.effect.id_parameter)
        fresh = f"new_id({literal(resource.id_prefix) if resource.id_prefix else ''})"
        if resource.id_type == "integer":
            fresh = f"repository.next_number({text_literal(resource.name)})"
        if resource.id_field in self._sent(operation):
            key = text_literal(resource.id_field)
            return f"sent.get({key}) or {fresh}"
        return fresh


def _checked(answer: str, code: str) -> str:
    """The value as the class that is answered; the framework checks what is no single class."""
    if answer.isidentifier():
        return f"{answer}.model_validate({code})"
    return code if answer == "dict[str, Any]" else f"cast({text_literal(answer)}, {code})"


def _allows_null(shape: Shape) -> bool:
    kind = shape.get("type")
    return isinstance(kind, list) and "null" in kind


def _says_400(operation: Operation, contract: Contract) -> bool:
    """Whether the document answers a duplicate with 400: it names that code, and 409 nowhere."""
    return contract.declared and 400 in operation.errors and 409 not in operation.errors  # noqa: PLR2004


def _own_target(resource: Resource, effect: Effect) -> list[str]:
    """A transition into the end is refused the second time; into another state it is not."""
    target = effect.target
    return [target] if isinstance(target, str) and target in resource.terminal else []


_RULES: dict[str, Callable[[Writer, Operation, str], Iterator[str]]] = {
    "create": Writer.create,
    "batch": Writer.batch,
    "read": Writer.read,
    "field": Writer.field,
    "update": Writer.update,
    "replace": Writer.replace,
    "delete": Writer.delete,
    "transition": Writer.transition,
    "list": Writer.list,
    "counters": Writer.counters,
    "information": Writer.information,
    "stub": Writer.stub,
    "login": Writer.login,
    "logout": Writer.logout,
    "me": Writer.me,
}
