"""The service in `examples/` is what the compiler writes today, in full.

After a change that is meant: `python -m build_executor generate examples/payment-processor/SPEC.md
examples/payment-processor/service`.
"""

from pathlib import Path

from build_executor.__main__ import main

EXAMPLE = Path(__file__).parents[3] / "examples" / "payment-processor"


def files_below(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in found}
    ignored = ("__pycache__", ".pytest_cache", ".coverage", "data/")
    return {n: p.read_text() for n, p in names.items() if not any(i in n for i in ignored)}


def test_the_example_service_is_what_the_compiler_writes(tmp_path: Path) -> None:
    assert main(["generate", str(EXAMPLE / "SPEC.md"), str(tmp_path / "service")]) == 0

    assert files_below(tmp_path / "service") == files_below(EXAMPLE / "service")
