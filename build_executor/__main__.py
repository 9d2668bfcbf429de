"""The compiler on the command line, without a build: look at a SPEC, or write its service.

python -m build_executor check SPEC.md [--json]     exit code 0 buildable, 2 refused
python -m build_executor generate SPEC.md DIR
python -m build_executor cost SPEC.md [--model M]   what Claude would cost; nobody is asked
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from build_executor.errors import BuildExecutorError, SpecRefused, SpecUnreadable
from build_executor.generation import generate_code, generate_tests
from build_executor.generators import GENERATORS, Attempt
from build_executor.generators.claude.estimate import estimate
from build_executor.models import Workspace
from build_executor.settings import load
from build_executor.spec.derivation import derive_contract
from build_executor.spec.report import Compilability, as_json, refusal_report, report_on
from build_executor.spec.source import read_source

_REFUSED, _FAILED = 2, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SpecRefused as error:
        _show(refusal_report(error), as_data=getattr(options, "json", False))
        return _REFUSED
    except SpecUnreadable as error:
        _show(
            Compilability(buildable=False, reason="unreadable", message=str(error)),
            as_data=getattr(options, "json", False),
        )
        return _REFUSED
    except BuildExecutorError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m build_executor", description=__doc__)
    commands = parser.add_subparsers(required=True)
    checking = commands.add_parser("check", help="say what would be built, and what is missing")
    checking.add_argument("spec", type=Path)
    checking.add_argument("--json", action="store_true", help="print the report as JSON")
    checking.set_defaults(run=_check)
    generating = commands.add_parser("generate", help="write the service into a folder")
    generating.add_argument("spec", type=Path)
    generating.add_argument("folder", type=Path)
    generating.set_defaults(run=_generate)
    pricing = commands.add_parser("cost", help="say what Claude would cost, without asking it")
    pricing.add_argument("spec", type=Path)
    pricing.add_argument("--model", help="another one than CLAUDE_MODEL")
    pricing.set_defaults(run=_cost)
    return parser


def _cost(options: argparse.Namespace) -> int:
    settings, text = load(), _text(options.spec)
    model = options.model or settings.claude_model
    found = estimate(derive_contract(text), text, model, settings.claude_prices)
    sys.stdout.write(f"{found}\n")
    return 0


def _check(options: argparse.Namespace) -> int:
    contract = derive_contract(_text(options.spec))
    _show(report_on(contract), as_data=options.json)
    return 0


def _generate(options: argparse.Namespace) -> int:
    contract = derive_contract(_text(options.spec))
    folder = options.folder.absolute()
    _refuse_foreign(folder)
    workspace = _Folder(build_id="local", service=contract.service, path=folder)
    compiler = GENERATORS["compiler"]
    generate_code(contract, workspace, compiler, Attempt())
    generate_tests(contract, workspace, compiler, Attempt())
    _show(report_on(contract), as_data=False)
    return 0


def _refuse_foreign(folder: Path) -> None:
    """A folder that somebody else filled is not written over."""
    is_ours = folder.with_name(f"{folder.name}.contract.json").exists()
    if folder.exists() and any(folder.iterdir()) and not is_ours:
        raise BuildExecutorError(f"the folder is not empty: {folder}")


class _Folder(Workspace):
    """A workspace whose source is the folder itself."""

    @property
    def source(self) -> Path:
        """Where the generated service is written."""
        return self.path

    @property
    def contract_file(self) -> Path:
        """The contract, beside the folder."""
        return self.path.with_name(f"{self.path.name}.contract.json")


def _text(spec: Path) -> str:
    """A file named on the command line is its user's own choice: its folder is the root."""
    folder = spec.absolute().parent
    return read_source(spec.name, [folder]).text


def _show(report: Compilability, *, as_data: bool) -> None:
    text = json.dumps(as_json(report), indent=2) if as_data else str(report)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
