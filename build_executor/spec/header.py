"""What a SPEC says of the service as a whole: its name, version, port, purpose, dependencies."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from build_executor.spec.contract import Dependency
from build_executor.spec.markdown import Block, plain_text
from build_executor.spec.naming import slug

_HIGHEST_PORT = 65535
_LONGEST_NAME = 4
_DESCRIPTION_LIMIT = 600
_FEATURE_LIMIT = 40
_MOST_FEATURES = 30
_KEY = re.compile(r"^[-*\s]*(?P<key>[A-Za-z][\w /-]{0,30}?)\s*:\s*(?P<value>\S.*)$")
_TITLE_NOISE = re.compile(
    r"(?i)^(?:spec|specification|technical spec(?:ification)?|service spec)\s*[:\u2013\u2014-]\s*"
    r"|\s*[-\u2013\u2014:|]\s*(?:complete |full |technical |service |system |api )*"
    r"(?:specs?|specifications?|reference|technical specs?|design)\s*$"
    r"|\s+(?:udc |technical |service |api )*(?:specs?|specifications?|reference|service)\s*$"
    r"|\s+droplet\s*$"
    r"|^droplet #?\d+\s*:\s*"
)
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
_PORT_FIELD = re.compile(r"^(?:service |default |http |api )?port$")
_BAR_PORT = re.compile(r"\bport\s*:?\s*(\d{2,5})\b", re.IGNORECASE)
_DEPLOY_PORTS = (
    re.compile(r"--port[\s=\"',]+(\d{2,5})\b"),
    re.compile(r"\s-p\s+\d{2,5}:(\d{2,5})\b"),
    re.compile(r"^EXPOSE\s+(\d{2,5})", re.MULTILINE),
    re.compile(r"^\s*-\s*[\"']?\d{2,5}:(\d{2,5})[\"']?\s*$", re.MULTILINE),
    re.compile(
        r"^(?:export )?(?:(?:SERVICE|APP|API|HTTP|SERVER)_)?PORT\s*[=:]\s*[\"']?(\d{2,5})\b",
        re.MULTILINE,
    ),
)
_FOREIGN = re.compile(
    r"depend|integrat|required services|optional services|external|apis? required"
)
_DEPENDENCY = re.compile(
    r"^(?:\*\*|`)?(?P<name>[A-Za-z][\w. -]{1,40}?)(?:\s+(?:API|[Ss]ervice))?(?::?\*\*|`)?\s*"
    r"(?:\((?:(?:[Pp]ort:?\s*(?P<port>\d{2,5})|(?P<number>\d{4,5}))(?![\d.]))?[^)]*\)\s*)?"
    r"(?:(?:[:\u2013\u2014]|(?<![\w.])-).*)?$"
)


@dataclass(frozen=True, slots=True)
class Header:
    """The document's statements about the service; `line` is where its name stands."""

    service: str
    title: str
    version: str
    description: str
    port: int | None
    port_source: str | None
    dependencies: tuple[Dependency, ...]
    features: tuple[str, ...]
    line: int


def read_header(blocks: tuple[Block, ...]) -> Header:
    """The header of a document; an empty name if it states none."""
    fields = dict(reversed(list(_fields(blocks))))
    title_block = next((block for block in blocks if block.kind == "heading"), None)
    title = clean_title(title_block.text) if title_block else ""
    service = _service_name(fields, title)
    port, source = read_port(blocks, service)
    return Header(
        service=service,
        title=title,
        version=_version(fields),
        description=_description(blocks),
        port=port,
        port_source=source,
        dependencies=tuple(_dependencies(blocks)),
        features=tuple(_features(blocks)),
        line=title_block.line if title_block else 1,
    )


def clean_title(text: str) -> str:
    """The first heading without what only says that this is a specification."""
    title = re.sub(r"^[^\w\[]+", "", plain_text(text))
    for _ in range(3):
        title = _TITLE_NOISE.sub("", title).strip()
    return title


def _fields(blocks: tuple[Block, ...]) -> Iterator[tuple[str, str]]:
    """The `Key: value` lines before the second section, in order."""
    for block in blocks:
        if block.kind == "heading" and len(block.headings) > 1:
            return
        if block.kind in {"paragraph", "item"}:
            parts = (p for _, line in block.numbered_lines() for p in re.split(r"\s\|\s", line))
            for part in parts:
                if found := _KEY.match(plain_text(part)):
                    yield found["key"].strip().lower(), found["value"].strip()


def _service_name(fields: dict[str, str], title: str) -> str:
    """The stated name if it is short; a slug in the title otherwise; the title as a last resort."""
    stated = [fields[key] for key in ("service name", "service", "name") if key in fields]
    candidates = [value for value in stated if len(value.split()) <= _LONGEST_NAME]
    if "service name" in fields and candidates:
        return slug(candidates[0])
    first_word = title.split(" ", maxsplit=1)[0]
    if _SLUG.fullmatch(first_word):
        return slug(first_word)
    if candidates:
        return slug(candidates[0])
    main = re.split(r"\s+[-\u2013\u2014(|]\s*|:\s+", title)[0]
    return slug(re.sub(r"\.md$|[_ ]?SPEC(?:\.md)?$", "", main))


def _version(fields: dict[str, str]) -> str:
    found = re.search(r"\d+(?:\.\d+){0,3}(?:-[0-9A-Za-z.]{1,16})?", fields.get("version", ""))
    if found is None:
        return "1.0.0"
    numbers, _, suffix = found[0].partition("-")
    parts = [*numbers.split("."), "0", "0"][: max(3, numbers.count(".") + 1)]
    return ".".join(parts) + (f"-{suffix}" if suffix else "")


def read_port(blocks: tuple[Block, ...], service: str) -> tuple[int | None, str | None]:
    """The service's own port and where it is stated; ports of other services are passed over."""
    for source, ports in (
        ("header", _header_ports(blocks)),
        ("constraints", _constraint_ports(blocks)),
        ("deploy", _deploy_ports(blocks)),
        ("environment", _environment_ports(blocks, service)),
    ):
        found = [port for port in ports if 0 < port <= _HIGHEST_PORT]
        if found:
            return Counter(found).most_common(1)[0][0], source
    return None, None


def _header_ports(blocks: tuple[Block, ...]) -> list[int]:
    """`Port: N` and `... | Port N |` before the second section."""
    for block in blocks:
        if block.kind == "heading" and len(block.headings) > 1:
            return []
        if block.kind in {"fence", "heading"}:
            continue
        for _, line in block.numbered_lines():
            if found := _BAR_PORT.search(plain_text(line)):
                return [int(found[1])]
    return []


def _constraint_ports(blocks: tuple[Block, ...]) -> list[int]:
    """`**Port:** N` as a line of its own, in any section that is not about other services."""
    for block in blocks:
        if block.kind not in {"item", "paragraph", "row"} or _FOREIGN.search(block.section):
            continue
        for _, line in block.numbered_lines():
            found = _KEY.match(plain_text(line.replace("\t", ": ", 1)))
            number = re.match(r"(\d{2,5})\b", found["value"]) if found else None
            if found and number and _PORT_FIELD.match(found["key"].lower()):
                return [int(number[1])]
    return []


def _deploy_ports(blocks: tuple[Block, ...]) -> list[int]:
    """Ports in what starts the service: its command first, then Docker, then its environment."""
    fences = [b for b in blocks if b.kind == "fence" and not _FOREIGN.search(b.section)]
    for pattern in _DEPLOY_PORTS:
        found = [int(port) for block in fences for port in pattern.findall(f"\n{block.text}")]
        if found:
            return found
    return []


def _environment_ports(blocks: tuple[Block, ...], service: str) -> list[int]:
    """`NAME_PORT` with a default, where NAME is the service's own."""
    own = {"SERVICE", "APP", "API", service.replace("-", "_").upper()}
    pattern = re.compile(r"`?(?:(\w+)_)?PORT`?\s*(?:\(default:?|=|default:?|:)\s*`?(\d{2,5})\b")
    texts = (block.text for block in blocks if block.kind in {"item", "paragraph", "row"})
    found = [match for text in texts for match in pattern.findall(text.replace("\t", " "))]
    return [int(port) for name, port in found if not name or name in own]


def _description(blocks: tuple[Block, ...]) -> str:
    wanted = re.compile(r"purpose|overview|intent|mission|about|description|what it does")
    for block in blocks:
        innermost = block.headings[-1].lower() if block.headings else ""
        if block.kind == "paragraph" and wanted.search(innermost):
            return plain_text(block.text)[:_DESCRIPTION_LIMIT]
    return ""


def _features(blocks: tuple[Block, ...]) -> Iterator[str]:
    """The bold words of the bullets below a capabilities heading, as identifiers."""
    count = 0
    for block in blocks:
        innermost = block.headings[-1].lower() if block.headings else ""
        if block.kind != "item" or not re.search(r"capabilit|features", innermost):
            continue
        words = re.split(r":|\s[-\u2013\u2014]\s", plain_text(block.text).split("\n")[0])[0]
        name = slug(words).replace("-", "_")
        if name and len(name) <= _FEATURE_LIMIT and count < _MOST_FEATURES:
            count += 1
            yield name


def _dependencies(blocks: tuple[Block, ...]) -> Iterator[Dependency]:
    """Named services below a dependencies heading; `optional` in a heading makes them so."""
    seen: set[str] = set()
    for block in blocks:
        if block.kind != "item" or not re.search(r"depend|services? required", block.section):
            continue
        if re.search(
            r"external (?:dep|api|lib)|python|package|librar|develop|depended", block.section
        ):
            continue
        found = _dependency(block)
        if found is not None and found.name not in seen:
            seen.add(found.name)
            yield found


def _dependency(block: Block) -> Dependency | None:
    """`**registry** (8000) - ...`: a name, and a port or bold type that says it is a service."""
    first = block.text.split("\n")[0].strip()
    found = _DEPENDENCY.match(first)
    port = (found["port"] or found["number"]) if found else None
    if found is None or not (port or first.startswith(("**", "`"))):
        return None
    name = slug(found["name"])
    if not name or re.fullmatch(r"port(?:-\d+)?", name):
        return None
    url = f"http://localhost:{port}" if port else None
    required = "optional" not in f"{block.section} {first.lower()[:60]}"
    return Dependency(name=name, url=url, required=required)
