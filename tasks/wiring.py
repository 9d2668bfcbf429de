"""The composition root: which implementation of each protocol a build on this machine gets.

Everything is opened anew from the settings, so a phase can run in any process; nothing is kept.
"""

import logging
from pathlib import Path

from build_executor import artifacts, ownership, redaction
from build_executor import settings as settings_module
from build_executor.artifacts import ArtifactStore
from build_executor.deployment import Gate, LiveService, Rollout
from build_executor.errors import InvalidSettings
from build_executor.generators import GENERATORS, Generator
from build_executor.generators.claude.asking import open_claude
from build_executor.generators.claude.earlier_work import Order
from build_executor.generators.filling import Filled, read_filling
from build_executor.generators.model import Model
from build_executor.mesh.messages import BuildEvent, notify_sovereign_factory
from build_executor.mesh.registry import Registry, open_registry
from build_executor.models import BuildRecord, BuildRequest, Check, Workspace
from build_executor.sandbox import Sandbox, open_sandbox
from build_executor.settings import Settings
from build_executor.spec.contract import Contract
from build_executor.targets import Target, open_targets
from build_executor.verification import live_checks
from build_executor.workspace import open_workspace

_GENERATOR = "compiler"


def settings() -> Settings:
    """This process's settings; InvalidSettings if they make no sense."""
    return settings_module.load()


def store() -> ArtifactStore:
    """Where builds leave their artifacts."""
    return ArtifactStore(settings().artifacts)


def progress_file(build_id: str) -> Path:
    """The artifact that holds the newest progress of each phase."""
    return store().path(build_id, artifacts.PROGRESS)


def open_build(build_id: str, request: BuildRequest) -> None:
    """Record who works on the build, so that nobody has to guess after a crash."""
    prepare_logs()
    record = BuildRecord(build_id=build_id, request=request, owner=ownership.this_process())
    store().write_value(build_id, artifacts.BUILD_RECORD, record)


def prepare_logs() -> None:
    """Let the core's INFO lines through to the run's log, with every configured secret masked."""
    redaction.mask_secrets(settings().secrets())
    logging.getLogger("build_executor").setLevel(logging.INFO)


def generator(workspace: Workspace) -> Generator:
    """Who writes the code: the compiler, and whoever filled its holes."""
    filling, compiler = read_filling(workspace), GENERATORS[_GENERATOR]
    return compiler if filling is None else Filled(filling, compiler)


def has_model() -> bool:
    """Whether there is a model to ask for what the compiler cannot write."""
    return settings().anthropic_api_key is not None


def model(build_id: str) -> Model:
    """The model that fills holes, on this build's account."""
    return open_claude(settings(), build_id)


def order(build_id: str, contract: Contract) -> Order:
    """What of a contract is to be filled, with the words of its SPEC."""
    spec = store().path(build_id, artifacts.SPEC).read_text()
    workspace = open_workspace(build_id, contract.service, settings())
    return Order(contract, spec, workspace, settings())


def sandbox(workspace: Workspace) -> Sandbox:
    """Where the build's code runs before it is trusted; a model's only where it is confined."""
    return open_sandbox(settings(), trusted=generator(workspace).trusted)


def requested_targets(request: BuildRequest) -> list[str]:
    """The names of the targets a request deploys to, in order."""
    wanted = {"local": request.deploy_local, "production": request.deploy_production}
    return [name for name, is_wanted in wanted.items() if is_wanted]


def targets(name: str) -> tuple[Target, ...]:
    """The hosts of a target to deploy to; InvalidSettings if it is not configured."""
    return open_targets(name, settings())


def rollout() -> Rollout:
    """How carefully a release gets its traffic."""
    configured = settings()
    return Rollout(
        guard_seconds=configured.guard_seconds,
        canary_steps=configured.canary_steps,
        canary_step_seconds=configured.canary_step_seconds,
    )


def configured_hosts(name: str) -> tuple[Target, ...]:
    """The hosts of a target; none if it is not configured, which only a deployment complains of."""
    try:
        return open_targets(name, settings())
    except InvalidSettings:
        return ()


def gate(contract: Contract, release_id: str) -> Gate:
    """What an instance has to answer before it is given traffic."""

    def check(url: str) -> tuple[Check, ...]:
        return live_checks(url, contract, release_id)

    return check


def checks_of_live(live: LiveService) -> tuple[Check, ...] | None:
    """The contract of a live release asked again; None if its build's artifacts are gone."""
    contract = store().read_value(live.build_id, artifacts.CONTRACT, Contract)
    return live_checks(live.url, contract, live.release_id) if contract is not None else None


def configured_targets() -> list[str]:
    """The names of the targets that this installation can deploy to."""
    return ["local", "production"] if settings().production_hosts else ["local"]


def notify(event: BuildEvent) -> bool:
    """Tell sovereign-factory, if it is configured; whether it listened."""
    return notify_sovereign_factory(settings(), event)


def registry() -> Registry:
    """The mesh's registry where one is configured, the embedded service directory otherwise."""
    return open_registry(settings())
