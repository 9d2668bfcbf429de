"""`make demo-claude`: a SPEC with holes, built with a stand-in for Claude; no key, no cost.

A stack of its own in a temporary folder is started and stopped, so nothing else is touched. The
example's functions are known; those of another SPEC are written from their signatures alone.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.end_to_end.stack import ROOT, Stack
from tests.messages_diligence import diligent
from tests.messages_server import MessagesServer, truncated, writes
from tests.shift_planner import FAIRNESS, FUNCTIONS

EXAMPLE = ROOT / "examples" / "shift-planner" / "SPEC.md"


def main(spec: Path) -> None:
    """Build the SPEC and show what came of it."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    with MessagesServer(otherwise=diligent) as server:
        if spec == EXAMPLE:  # its first answer breaks off, its second attempt asks for the rest
            server.script = [truncated(FUNCTIONS), writes({"post_plans_fairness": FAIRNESS})]
        stack = Stack(home)
        stack.environment |= {"ANTHROPIC_API_KEY": server.key, "ANTHROPIC_BASE_URL": server.url}
        try:
            _say("starting a stack that asks a stand-in for Claude")
            stack.run("deployments.stack", "up")
            path = stack.write_spec(spec.stem, spec.read_text(encoding="utf-8"))
            _say(stack.run("deployments.demo", path))
            _show(stack)
        finally:
            stack.http.close()
            stack.run("deployments.stack", "down")
            shutil.rmtree(home)


def _show(stack: Stack) -> None:
    (build,) = stack.http.get("/builds").json()["builds"]
    base = f"/builds/{build['build_id']}"
    filling = stack.http.get(f"{base}/artifacts/generation.json").json()
    for written in filling["written"]:
        _say(f"{filling['holes'][written['name']]}: written in attempt {written['attempt']}")
    _say(f"{len(filling['rejected'])} holes are left; {filling['ended']}")
    _say(f"with Claude: {json.dumps(stack.status(build['build_id'])['cost'], indent=1)}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else EXAMPLE)
