"""`python -m api` serves; `python -m api token NAME SCOPE...` prints a token for a day.

uvicorn's own limits come first: what it refuses never reaches the application.
"""

import sys
from datetime import UTC, datetime, timedelta

import uvicorn

from api.app import create_app
from api.auth import Scope, issue_token
from api.connections import PromptConnection
from build_executor.errors import InvalidSettings
from build_executor.settings import Settings, load

_USAGE = "usage: python -m api | python -m api token NAME read|build|approve..."
_INVALID = 2


def server_of(settings: Settings, prefect_api_url: str | None = None) -> uvicorn.Server:
    """The server with its limits; it listens when it is run."""
    config = uvicorn.Config(
        create_app(settings, prefect_api_url),
        host=settings.host,
        port=settings.port,
        http=PromptConnection,
        h11_max_incomplete_event_size=16_384,
        limit_concurrency=600,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=20,
        ws_max_size=16_384,
        ws_max_queue=4,
        ws_per_message_deflate=False,
        server_header=False,
        forwarded_allow_ips="",
        log_level="warning",
    )
    return uvicorn.Server(config)


def print_token(settings: Settings, name: str, scopes: list[str]) -> None:
    """A token for `name` with these scopes, valid for a day."""
    wanted = frozenset(Scope(scope) for scope in scopes)
    token = issue_token(settings, name, wanted, timedelta(days=1), datetime.now(UTC))
    sys.stdout.write(token + "\n")


def main(arguments: list[str]) -> int:
    """The exit code: 2, with one sentence, for settings or arguments that make no sense."""
    try:
        settings = load()
        match arguments:
            case []:
                server_of(settings).run()
            case ["token", name, *scopes] if scopes:
                print_token(settings, name, scopes)
            case _:
                return _refuse(_USAGE)
    except (InvalidSettings, ValueError) as error:
        return _refuse(str(error))
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return _INVALID


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
