"""The generator that is always there: a contract in, a service's files out, deterministically."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import JsonValue

from build_executor.generators.compiler.annotations import ModelClass, uses
from build_executor.generators.compiler.contract_tests_view import tests_context
from build_executor.generators.compiler.service_view import ServiceView, implementation_of
from build_executor.generators.compiler.text import FILTERS, comment
from build_executor.generators.compiler.udc_view import (
    aliases_of,
    extras_of,
    features_of,
    metadata_of,
)
from build_executor.generators.protocol import Attempt
from build_executor.spec.contract import Contract
from build_executor.spec.naming import snake

_FOLDER = Path(__file__).parent
_DEFAULT_PORT = 8000
_FORMATS = ("DateTime", "Date", "Email", "Identifier", "Uri")
_EMPTY = ("app/__init__.py", "app/endpoints/__init__.py", "app/utils/__init__.py")


class Compiler:
    """Writes a FastAPI service from a contract by rules; attempts do not change what it writes."""

    trusted = True

    def generate_code(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        """The service without its tests."""
        del attempt
        context = service_context(contract)
        files = dict.fromkeys(_EMPTY, "")
        files |= {name: _render(name, context) for name in _code_files(contract)}
        files["requirements.txt"] = (_FOLDER / "requirements" / "service.txt").read_text()
        return files

    def generate_tests(self, contract: Contract, attempt: Attempt) -> Mapping[str, str]:
        """The tests that follow from the contract alone."""
        del attempt
        context = tests_context(contract)
        names = [n for n in _templates() if n.startswith("tests/")]
        if context["account"] is None:
            names.remove("tests/test_accounts.py")
        if not context["written"]:
            names.remove("tests/test_written.py")
        return {"tests/__init__.py": ""} | {name: _render(name, context) for name in names}


def service_context(contract: Contract) -> dict[str, object]:
    """All values that the templates of the service use."""
    view = ServiceView(contract)
    classes = _in_order(view.names.classes)
    statements = "\n".join(line for op in view.operations for line in op.body)
    state_extras = extras_of(contract, "/state")
    return {
        "contract": contract,
        "service": contract.service,
        "version": contract.version,
        "title": comment(contract.title) or contract.service,
        "description": contract.description,
        "auth": contract.auth,
        "base_path": contract.base_path,
        "port": contract.port or _DEFAULT_PORT,
        "dependencies": list(_dependencies(contract)),
        "dependency_names": [dependency.name for dependency in contract.dependencies],
        "operations": view.operations,
        "classes": classes,
        "has_cycles": _has_cycles(classes),
        "formats": [name for name in _FORMATS if uses(view.names.classes, name)],
        "model_names": list(view.names.classes),
        "resources": contract.resources,
        "has_streams": any(o.rule == "stream" for o in contract.business),
        "has_stubs": any(o.rule in {"stub", "written"} for o in contract.business),
        "has_sources": "require_state(" in statements,
        "has_refusals": "refuse_states(" in statements,
        "has_unique": "refuse_duplicate(" in statements,
        "has_keys": "repository.recalled(" in statements,
        "has_numbers": "next_number(" in statements,
        "has_uptime": any("Uptime" in op.handler_parameters for op in view.operations),
        "has_epoch": "epoch()" in statements,
        "has_sums": "repository.total(" in statements,
        "features": features_of(contract),
        "metadata": metadata_of(contract),
        "implementation": implementation_of(contract),
        "endpoints": list(_endpoints(contract)),
        "orphans": {r.name: r.id_field for r in contract.resources if not r.creatable},
        "health_extras": extras_of(contract, "/health"),
        "state_extras": state_extras,
        "state_uses_store": any("store." in code for _, code in state_extras),
        "capability_extras": extras_of(contract, "/capabilities"),
        "dependency_extras": extras_of(contract, "/dependencies"),
        "aliases": list(aliases_of(contract)),
    }


def _in_order(classes: Mapping[str, ModelClass]) -> list[ModelClass]:
    """Classes after those that they mention, as Python wants them."""
    done: dict[str, ModelClass] = {}

    def add(name: str, above: frozenset[str]) -> None:
        if name in done or name in above:
            return
        annotations = " ".join(field.annotation for field in classes[name].fields)
        for word in set(re.findall(r"\w+", annotations)) & set(classes):
            add(word, above | {name})
        done[name] = classes[name]

    for name in classes:
        add(name, frozenset())
    return list(done.values())


def _has_cycles(classes: Sequence[ModelClass]) -> bool:
    """Whether a class mentions itself or one that comes later."""
    waiting = {model.name for model in classes}
    for model in classes:
        annotations = " ".join(field.annotation for field in model.fields)
        if waiting & set(re.findall(r"\w+", annotations)):
            return True
        waiting.discard(model.name)
    return False


def _dependencies(contract: Contract) -> Iterator[dict[str, object]]:
    for dependency in contract.dependencies:
        yield {
            "name": dependency.name,
            "setting": f"{snake(dependency.name)}_url",
            "required": dependency.required,
            "url": dependency.url,
        }


def _endpoints(contract: Contract) -> Iterator[JsonValue]:
    for operation in contract.operations:
        yield {
            "operation": operation.name,
            "method": operation.method,
            "path": operation.path,
            "description": comment(operation.summary),
        }


def _code_files(contract: Contract) -> list[str]:
    """The templates that this contract needs, as paths of the files they become."""
    unneeded = set()
    if not any(o.rule == "stream" for o in contract.business):
        unneeded.add("app/events.py")
    if contract.auth is None:
        unneeded.add("app/security.py")
    if not contract.gaps and not contract.assumptions:
        unneeded.add("GAPS.md")
    return [n for n in _templates() if not n.startswith("tests/") and n not in unneeded]


@cache
def _templates() -> tuple[str, ...]:
    folder = _FOLDER / "templates"
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.j2"))
    return tuple(name.removesuffix(".j2") for name in found)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - the text is Python and Markdown, made safe by the filters
    )
    environment.filters.update(FILTERS)
    return environment


def _render(name: str, context: dict[str, object]) -> str:
    return _environment().get_template(f"{name}.j2").render(context)
