"""`make demo-claude`: the example with holes, built with a stand-in for Claude; no key, no cost.

A stack of its own in a temporary folder is started and stopped, so nothing else is touched.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import httpx

from tests.end_to_end.stack import ROOT, Stack
from tests.messages_server import MessagesServer, truncated, writes
from tests.shift_planner import FAIRNESS, FUNCTIONS

SPEC = ROOT / "examples" / "shift-planner" / "SPEC.md"
SHARES = {
    "shares": [{"worker": "ada", "hours": 12}, {"worker": "bo", "hours": 6}],
    "tolerance_hours": 4,
}


def main() -> None:
    """Build the example and show what came of it."""
    home = Path(tempfile.mkdtemp(prefix="bx-"))
    with MessagesServer() as server:
        server.script = [truncated(FUNCTIONS), writes({"post_plans_fairness": FAIRNESS})]
        stack = Stack(home)
        stack.environment |= {"ANTHROPIC_API_KEY": server.key, "ANTHROPIC_BASE_URL": server.url}
        try:
            _say("starting a stack that asks a stand-in for Claude")
            stack.run("deployments.stack", "up")
            _say(stack.run("deployments.demo", str(SPEC)))
            _show(stack)
        finally:
            stack.http.close()
            stack.run("deployments.stack", "down")
            shutil.rmtree(home)


def _show(stack: Stack) -> None:
    (build,) = stack.http.get("/builds").json()["builds"]
    built = stack.status(build["build_id"])
    answer = httpx.post(f"{built['deployment_urls']['local']}/plans/fairness", json=SHARES)
    _say(f"POST /plans/fairness answers {json.dumps(answer.json())}")
    _say("The stand-in broke off its first answer; the second attempt asked for the rest.")
    _say(f"Claude would have cost: {json.dumps(built['cost'], indent=1)}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
