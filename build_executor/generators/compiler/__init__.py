"""The embedded generator: templates and inference rules, no model, the same files every time."""

from build_executor.generators.compiler.compiler import Compiler

__all__ = ["Compiler"]
