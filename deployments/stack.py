"""This product on one machine: Prefect server, two workers and the adapter, under one supervisor.

`up` starts what does not run yet and waits until it answers, `down` ends exactly that and the
deployed services. Both may be repeated. Production uses the unit files beside this module instead.
"""

import argparse
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from build_executor import settings as settings_module
from build_executor.errors import BuildExecutorError, InvalidSettings
from build_executor.settings import Settings, inherited_environment
from build_executor.targets.supervisor import Program, Supervisor
from build_executor.targets.local import local_supervisor_down, local_supervisor_up
from deployments.register import ROOT, register

_START_SECONDS = 120.0


def up(settings: Settings) -> None:
    """Start the stack; InvalidSettings if a port is taken or something does not come up."""
    supervisor = _supervisor(settings)
    if not supervisor.is_running():
        _refuse_taken_ports(settings)
    supervisor.start(environment=_environment(settings))
    supervisor.ensure(_prefect_server(settings))
    _wait("Prefect server", lambda: _answers(f"{_prefect_api(settings)}/health"))
    register(_environment(settings))
    for program in (_worker("builds"), _worker("operations"), _adapter()):
        supervisor.ensure(program)
    local_supervisor_up(settings)
    _wait("the adapter", lambda: _answers(f"{adapter_url(settings)}/health"))


def down(settings: Settings) -> None:
    """End the stack and the services it deployed; nothing else, and nothing if nothing runs."""
    _supervisor(settings).shut_down()
    local_supervisor_down(settings)
