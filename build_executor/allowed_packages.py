"""The packages that a build may add to a service by itself: a list, and nothing that is not on it.

A name that generated code asks for may be misspelt, invented, or registered by somebody who hoped
for that. So a missing module is looked up here, and only here; what is found is then pinned, hashed
and installed from wheels like everything else.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from build_executor.models import Finding

_LIST = Path(__file__).with_name("allowed_packages.json")
_MISSING = re.compile(
    r"No module named ['\"]?(?P<run>[A-Za-z_]\w*)"
    r"|module named ['\"](?P<typed>[A-Za-z_]\w*)[\w.]*['\"]"
)


def missing_requirements(findings: Iterable[Finding], requirements: str) -> list[str]:
    """What of the list is missing, as requirements; those that are there already are left out."""
    wanted = {allowed()[name] for name in _missing_modules(findings) if name in allowed()}
    return sorted(line for line in wanted if not _is_named(line, requirements))


@cache
def allowed() -> dict[str, str]:
    """Module -> requirement."""
    found: dict[str, str] = json.loads(_LIST.read_text())
    return found


def _missing_modules(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        for match in _MISSING.finditer(finding.message):
            yield match["run"] or match["typed"]


def _is_named(requirement: str, requirements: str) -> bool:
    name = re.split(r"[<>=~!\[; ]", requirement)[0]
    return re.search(rf"(?im)^{re.escape(name)}\s*[\[<>=~!;]", requirements) is not None
