"""A process that deploys, or rolls back, and is killed with SIGKILL at one moment on the way.

It works on the local target below a folder, or on the target that settings describe: the production
host that they name, or this machine.
"""

import signal
import sys
from pathlib import Path

from build_executor import command
from build_executor.deployment import Rollout, deploy, prove, roll_back
from build_executor.errors import CommandFailed
from build_executor.models import Check, VerifiedRelease
from build_executor.settings import Settings
from build_executor.targets import open_targets
from build_executor.targets.local import LocalTarget
from tests.fakes.dying_target import DyingTarget

_ROOT = Path(__file__).parents[2]
_ROLLOUT = Rollout(guard_seconds=0.5, canary_steps=(50,), canary_step_seconds=0)


def dies_deploying(root: Path | Settings, verified: VerifiedRelease, moment: str) -> bool:
    """Whether a deployment came as far as this moment, and not further."""
    return _dies("deploy", root, verified, moment)


def dies_rolling_back(root: Path | Settings, verified: VerifiedRelease, moment: str) -> bool:
    """The same for the roll-back of the build that made this release."""
    return _dies("roll-back", root, verified, moment)


def _dies(action: str, root: Path | Settings, verified: VerifiedRelease, moment: str) -> bool:
    where, more = (str(root), {}) if isinstance(root, Path) else _described(root)
    argv = (sys.executable, "-m", "tests.fakes.dying_deployer", action, where, moment)
    environment = command.clean_environment({"PYTHONPATH": str(_ROOT), **more})
    try:
        command.run((*argv, verified.model_dump_json()), timeout=120, environment=environment)
    except CommandFailed as death:
        if death.exit_code != -signal.SIGKILL:
            raise
        return True
    return False


def _described(settings: Settings) -> tuple[str, dict[str, str]]:
    """The name of the target, and the variables that say of it what these settings say."""
    fields = settings.model_dump(exclude_unset=True)
    variables = {name.upper(): _text(value) for name, value in fields.items()}
    return "production" if settings.production_hosts else "local", variables


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def main() -> None:
    action, where, moment, text = sys.argv[1:]
    is_named = where in {"local", "production"}
    inner = open_targets(where, Settings())[0] if is_named else LocalTarget(Path(where))
    target, verified = DyingTarget(inner, moment), VerifiedRelease.model_validate_json(text)
    if action == "roll-back":
        roll_back(verified.release.service, verified.release.build_id, [target])
    else:
        prove(deploy(verified, [target], _passes, _ROLLOUT), [target])


def _passes(_: str) -> tuple[Check, ...]:
    return (Check(name="GET /health", passed=True),)


if __name__ == "__main__":
    main()
