"""Who writes a service's code: something that turns a contract and findings into files."""

from build_executor.generators.compiler import Compiler
from build_executor.generators.protocol import Attempt, Generator

GENERATORS: dict[str, Generator] = {"compiler": Compiler()}

__all__ = ["GENERATORS", "Attempt", "Generator"]
